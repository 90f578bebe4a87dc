"""The options and the folders of an import."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from contract import paths

from .plans import Clash


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of an import."""

    store: Path
    source_name: str
    """The name of the store in the comparison."""
    clash: Clash
    dry_run: bool
    leave_artifacts: bool = False
    """Whether to import runs without the artifacts that an old server has."""
    empty_locations: Set[str] = frozenset()
    """Artifact locations without files."""
    users: Path | None = None
    """The sign-in database."""
    is_folder: bool = False
    """Whether the store is a folder, such as mlruns."""
    rows_only: bool = False
    """Whether the store holds rows of another database, without MLflow's schema."""
    users_rows_only: bool = False
    """The same for the sign-in database."""
    artifact_folders: Mapping[str, Path]
    """The folders to copy artifacts from, by artifact location."""


@dataclass(frozen=True, kw_only=True)
class Folders:
    """The folders that an import works in."""

    source: Path
    """The folder of the old store."""
    artifacts: Path
    """The volume of the server's artifacts."""
    backups: Path
    """The volume of the dumps, where the comparison is kept."""
    scratch: Path
    """A folder for the copy of the store. It must not exist."""


CONTAINER = Folders(
    source=Path(paths.IMPORT_SOURCE),
    artifacts=Path(paths.ARTIFACTS),
    backups=Path(paths.BACKUPS),
    scratch=Path("/tmp/import"),
)
"""The folders in the import's container."""

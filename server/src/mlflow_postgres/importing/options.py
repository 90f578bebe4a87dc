"""What is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from .plans import Clash


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is asked for."""

    store: Path
    shown: str
    """What the user calls it."""
    clash: Clash
    dry_run: bool
    leave_artifacts: bool = False
    """Whether runs come without what an old server has of their artifacts."""
    empty: Set[str] = frozenset()
    """Artifact locations in which there is nothing."""
    users: Path | None = None
    """The sign-in database."""
    is_folder: bool = False
    """Whether the store is one of files in folders."""
    rows_only: bool = False
    """Whether the store's tables hold rows, and are not MLflow's own."""
    users_rows_only: bool = False
    """The same of the sign-in database."""
    places: Mapping[str, Path]
    """Artifact locations whose files are to be copied, with the folders that these are in."""

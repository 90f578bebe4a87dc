"""Finds a store's artifacts on this machine, and decides which folders an import may copy."""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from urllib.parse import SplitResult, quote, unquote, urlsplit

import yaml

from contract.errors import UserError

from .sources import META, Source, experiments, readable_errors

_SERVED = "mlartifacts"
"""MLflow's default for --artifacts-destination."""
_INTERFACE = "api/2.0/mlflow-artifacts/artifacts/"

_Candidates = Iterable[tuple[str, list[Path]]]
"""Artifact locations, each with the folders that it may refer to, the likeliest first. A remote location has none."""


@dataclass
class ArtifactLocations:
    """The artifact locations of a store that may be folders of this machine."""

    copied: dict[str, Path] = field(default_factory=dict)
    """Locations whose files are copied, with their folders."""
    outside: dict[str, Path] = field(default_factory=dict)
    """Locations with existing folders that the user has not allowed. A store could name any folder."""
    empty: list[str] = field(default_factory=list)
    """Locations without a folder whose parent folder exists: no file was ever stored there."""
    missing: list[str] = field(default_factory=list)
    """Paths that are not folders of this machine, or that contain `..`. Without the old server's own addresses."""


def find_locations(source: Source, allowed: Sequence[Path] = ()) -> ArtifactLocations:
    """Find the artifacts. Only those below the store's own folder, or in allowed folders, are copied.

    Raises `UserError` if the store cannot be read.
    """
    with readable_errors():
        found = list(_folder_locations(source.path) if source.is_folder else _file_locations(source))
        paths = Counter(_served(location) for location, _ in found)
        named = []
        for location, beside in found:
            # Two servers may have served the same path. A folder of that path belongs to one of them.
            known = _of_this_server(location) or paths[_served(location)] == 1 or _is_path(location)
            below = _below_named(location, allowed) if known else []
            # A path of a local store is a path of this machine. A database may have run on any machine.
            here = beside[:1] if _is_path(location) and not source.rows_only else []
            named.append((location, [*here, *below, *beside]))
        # A database's server may have run anywhere: its artifacts are only in folders that the user has named.
        return _sorted(named, [] if source.rows_only else [source.mounted], allowed)


def _sorted(found: _Candidates, own: Sequence[Path], allowed: Sequence[Path]) -> ArtifactLocations:
    sorted_out = ArtifactLocations()
    served: list[str] = []
    for location, candidates in found:
        if not candidates:
            continue
        folder = None if any(".." in each.parts for each in candidates) else _there(candidates)
        if folder is None:
            if _is_path(location):
                sorted_out.missing.append(location)
            elif _of_this_server(location) and ".." not in candidates[0].parts:
                served.append(location)
        elif any(root in folder.parents for root in own) or any(root in (folder, *folder.parents) for root in allowed):
            sorted_out.copied[location] = folder
        else:
            sorted_out.outside[location] = folder
    if any(_of_this_server(each) for each in sorted_out.copied) or any((root / _SERVED).is_dir() for root in own):
        # The server's folder is here. Without it, an empty location looks like one on another machine.
        sorted_out.empty += served
    with_artifacts = {_path(each).parent for each in sorted_out.copied if _is_path(each)}
    missing, sorted_out.missing = sorted_out.missing, []
    for location in missing:
        # Its parent folder is here, so its files cannot be on another machine.
        known = _would_be(_path(location), [*own, *allowed], with_artifacts)
        (sorted_out.empty if known else sorted_out.missing).append(location)
    return sorted_out


def _would_be(path: Path, roots: Sequence[Path], with_artifacts: Set[Path]) -> bool:
    return ".." not in path.parts and (path.parent in with_artifacts or any(root in path.parents for root in roots))


def _there(candidates: Iterable[Path]) -> Path | None:
    """The first candidate that is a folder, with symbolic links resolved."""
    for each in candidates:
        try:
            if each.is_dir():
                return each.resolve(strict=True)
        except (OSError, ValueError):
            # The user may not read its parent, or the name is too long or invalid.
            continue
    return None


def _folder_locations(store: Path) -> Iterator[tuple[str, list[Path]]]:
    for folder in experiments(store):
        if location := _artifact_location(folder / META):
            yield location, _beside(location, folder, store)


def _artifact_location(file: Path) -> str:
    try:
        meta = yaml.safe_load(file.read_text()) or {}
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # ValueError: not UTF-8, or an impossible date. RecursionError: endlessly nested lists.
        raise UserError(
            "source-not-yaml",
            f"{file} is not YAML",
            rule="mend that file, or move its folder away",
        ) from error
    location = meta.get("artifact_location") if isinstance(meta, dict) else None
    # Any other value is not converted to text: a short YAML can expand to more than the memory.
    return location if isinstance(location, str) else ""


def _beside(location: str, folder: Path, store: Path) -> list[Path]:
    """Candidates for a folder store: artifacts are in the experiment's folder, unless they were stored elsewhere."""
    if _is_path(location) and _path(location).name == folder.name:
        return [folder]
    return _local(location, store.parent)


def _file_locations(source: Source) -> Iterator[tuple[str, list[Path]]]:
    """The locations in a SQLite file."""
    with TemporaryDirectory() as scratch:
        try:
            with closing(sqlite3.connect(_address(source.path, Path(scratch)), uri=True)) as connection:
                # A location that is not UTF-8 is found nowhere. The import reports it.
                connection.text_factory = lambda text: text.decode(errors="replace")
                rows = connection.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall()
        except sqlite3.Error:
            # It is damaged, or not MLflow's. The import reports it.
            return
    for (location,) in rows:
        if location:
            yield str(location), _local(str(location), source.path.parent)


def _address(file: Path, scratch: Path) -> str:
    """A URI that reads the database without creating a file in its folder, such as the -shm file."""
    beside = [each for ending in ("-wal", "-journal") if (each := file.with_name(file.name + ending)).exists()]
    if not beside:
        return f"file:{quote(str(file))}?mode=ro&immutable=1"
    for each in (file, *beside):
        shutil.copyfile(each, scratch / each.name)
    return f"file:{quote(str(scratch / file.name))}"


def _below_named(location: str, named: Sequence[Path]) -> list[Path]:
    """Candidates for a location in the folders that the user has named. The longest match comes first."""
    served = _served(location)
    if served is not None:
        # A server's --artifacts-destination holds the whole path, and so does its default, mlartifacts.
        paths, starts = PurePath(served), [0]
    elif _is_path(location):
        paths = _path(location)
        starts = list(range(1 if paths.is_absolute() else 0, len(paths.parts)))
    else:
        return []
    if not paths.parts or ".." in paths.parts:
        return []
    found = []
    for folder in named:
        ends = [Path(*paths.parts[start:]) for start in starts]
        found += [each for end in ends for each in (folder / _SERVED / end, folder / "mlruns" / end, folder / end)]
        if folder.name == paths.name:
            found.append(folder)
    return found


def _local(location: str, base: Path) -> list[Path]:
    """Candidates for a location. `base` is the folder where the old server probably ran."""
    served = _served(location)
    if served is not None and _of_this_server(location):
        return [base / _SERVED / served] if served else []
    if _is_path(location):
        path = _path(location)
        return [path if path.is_absolute() else base / path, *([base / "mlruns" / path.name] if path.name else [])]
    return []


def _served(location: str) -> str | None:
    """The path in the address of an artifact on an MLflow server; None for any other address."""
    where = _split(location)
    if where.scheme == "mlflow-artifacts":
        path = where.path.strip("/")
        # With a host, it may contain the path of the REST API.
        return path.removeprefix(_INTERFACE) if where.netloc else path
    if where.scheme in ("http", "https") and where.path.startswith(f"/{_INTERFACE}"):
        return where.path.removeprefix(f"/{_INTERFACE}").strip("/")
    return None


def _of_this_server(location: str) -> bool:
    """Whether the address refers to the server that created it. One with a host refers to that host."""
    where = _split(location)
    return where.scheme == "mlflow-artifacts" and not where.netloc


def _is_path(location: str) -> bool:
    return _split(location).scheme in ("", "file")


def _path(location: str) -> Path:
    return Path(unquote(_split(location).path) if location.startswith("file:") else location)


def _split(location: str) -> SplitResult:
    try:
        return urlsplit(location)
    except ValueError:
        # Such as an unclosed bracket.
        return SplitResult("unknown", "", "", "", "")

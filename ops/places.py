"""Where on this machine a store's artifacts are, and which of those places an import may look into."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote, unquote, urlsplit

import yaml

from .sources import META, Source, experiments, in_words
from .stack import StackError

_Candidates = Iterable[tuple[str, list[Path]]]
"""Artifact locations, each with the folders that it may be, the likeliest first; none when it is not on a machine."""


@dataclass
class Places:
    """The artifact locations of a store that are paths."""

    taken: dict[str, Path] = field(default_factory=dict)
    """Those whose files are to be copied, with their folders."""
    outside: dict[str, Path] = field(default_factory=dict)
    """Those that nobody has allowed: the store alone says that they are its."""
    empty: list[str] = field(default_factory=list)
    """Those that are no folder where they would be one: nothing was ever put there."""
    missing: list[str] = field(default_factory=list)
    """Those that are no folder here, or that say `..`."""


def places(source: Source, allowed: Sequence[Path] = ()) -> Places:
    """Where the artifacts are: only in folders below the store's own folder or in allowed ones are they taken.

    Raises `StackError` when the store cannot be read.
    """
    with in_words():
        if source.rows_only:
            # Where that server ran, nobody knows: its artifacts can only be in a folder that was named.
            return _sorted(_file_locations(source.path, allowed), [], allowed)
        found = _folder_locations(source.path) if source.is_folder else _file_locations(source.path)
        return _sorted(found, [source.mounted], allowed)


def _sorted(found: _Candidates, own: Sequence[Path], allowed: Sequence[Path]) -> Places:
    sorted_out = Places()
    for location, candidates in found:
        if not candidates:
            continue
        folder = None if any(".." in each.parts for each in candidates) else _there(candidates)
        if folder is None:
            if urlsplit(location).scheme in ("", "file"):
                sorted_out.missing.append(location)
        elif any(root in folder.parents for root in own) or any(root in (folder, *folder.parents) for root in allowed):
            sorted_out.taken[location] = folder
        else:
            sorted_out.outside[location] = folder
    with_artifacts = {_path(each).parent for each in sorted_out.taken}
    missing, sorted_out.missing = sorted_out.missing, []
    for location in missing:
        # Of one that is in a place that is here, nothing can be on another machine.
        known = _would_be(_path(location), [*own, *allowed], with_artifacts)
        (sorted_out.empty if known else sorted_out.missing).append(location)
    return sorted_out


def _would_be(path: Path, roots: Sequence[Path], with_artifacts: Set[Path]) -> bool:
    return ".." not in path.parts and (path.parent in with_artifacts or any(root in path.parents for root in roots))


def _there(candidates: Iterable[Path]) -> Path | None:
    """The first that is a folder, without the links that lead to it."""
    for each in candidates:
        try:
            if each.is_dir():
                return each.resolve(strict=True)
        except OSError:
            # Below a folder that is closed to whoever runs this.
            continue
    return None


def _folder_locations(store: Path) -> Iterator[tuple[str, list[Path]]]:
    for folder in experiments(store):
        if location := _artifact_location(folder / META):
            yield location, _beside(location, folder)


def _artifact_location(file: Path) -> str:
    try:
        meta = yaml.safe_load(file.read_text()) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StackError(f"{file} is not YAML. Mend that file, or move its folder away") from error
    location = meta.get("artifact_location") if isinstance(meta, dict) else None
    # Nothing else is written out: a short YAML may stand for more than there is memory.
    return location if isinstance(location, str) else ""


def _beside(location: str, folder: Path) -> list[Path]:
    """In a folder store artifacts are with the runs, wherever the folder may be today, unless they were never there."""
    if urlsplit(location).scheme in ("", "file") and _path(location).name == folder.name:
        return [folder]
    return _local(location, folder.parent.parent)


def _file_locations(file: Path, named: Sequence[Path] = ()) -> Iterator[tuple[str, list[Path]]]:
    """Those of a SQLite file; `named` are folders that they may be in as well, or be."""
    with TemporaryDirectory() as scratch:
        try:
            with closing(sqlite3.connect(_address(file, Path(scratch)), uri=True)) as connection:
                rows = connection.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall()
        except sqlite3.Error:
            # It is damaged, or none of MLflow's: the import says so.
            return
    for (location,) in rows:
        if location:
            beside = _local(str(location), file.parent)
            yield str(location), [each for folder in named for each in _below(str(location), folder)] + beside


def _below(location: str, folder: Path) -> list[Path]:
    name = location.rstrip("/").rpartition("/")[2]
    found = _local(location, folder)
    return [*found, folder / name] if found and name else found


def _address(file: Path, scratch: Path) -> str:
    """A file to read the same from, so that nothing appears beside the store: not even the index of its log."""
    beside = [each for ending in ("-wal", "-journal") if (each := file.with_name(file.name + ending)).exists()]
    if not beside:
        return f"file:{quote(str(file))}?mode=ro&immutable=1"
    for each in (file, *beside):
        shutil.copyfile(each, scratch / each.name)
    return f"file:{quote(str(scratch / file.name))}"


def _local(location: str, base: Path) -> list[Path]:
    """The folders that a location may be; `base` is where the old server is likely to have run."""
    where = urlsplit(location)
    name = location.rstrip("/").rpartition("/")[2]
    if where.scheme == "mlflow-artifacts" and not where.netloc:
        return [base / "mlartifacts" / where.path.strip("/")]
    if where.scheme in ("", "file"):
        path = _path(location)
        return [path if path.is_absolute() else base / path, *([base / "mlruns" / name] if name else [])]
    return []


def _path(location: str) -> Path:
    return Path(unquote(urlsplit(location).path) if location.startswith("file:") else location)

"""Where on this machine a store's artifacts are, and which of those places an import may look into."""

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

from .sources import META, Source, experiments, in_words

_SERVED = "mlartifacts"
"""The folder that a server keeps artifacts in unless it is told another one."""
_INTERFACE = "api/2.0/mlflow-artifacts/artifacts/"

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
    """Those that are no folder here, or that say `..`. Those that the old server serves are not among them."""


def places(source: Source, allowed: Sequence[Path] = ()) -> Places:
    """Where the artifacts are: only in folders below the store's own folder or in allowed ones are they taken.

    Raises `UserError` when the store cannot be read.
    """
    with in_words():
        found = list(_folder_locations(source.path) if source.is_folder else _file_locations(source))
        paths = Counter(_served(location) for location, _ in found)
        named = []
        for location, beside in found:
            # What two servers have under one path can only be one of them's.
            known = _of_this_server(location) or paths[_served(location)] == 1 or _is_path(location)
            below = _below_named(location, allowed) if known else []
            # A path that is one on this machine is what it says. Of a database's, nobody knows which machine that is.
            here = beside[:1] if _is_path(location) and not source.rows_only else []
            named.append((location, [*here, *below, *beside]))
        # Where the server of a database ran, nobody knows: its artifacts can only be in a folder that was named.
        return _sorted(named, [] if source.rows_only else [source.mounted], allowed)


def _sorted(found: _Candidates, own: Sequence[Path], allowed: Sequence[Path]) -> Places:
    sorted_out = Places()
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
            sorted_out.taken[location] = folder
        else:
            sorted_out.outside[location] = folder
    if any(_of_this_server(each) for each in sorted_out.taken) or any((root / _SERVED).is_dir() for root in own):
        # The place where the server kept them is here. Without it, nobody can tell what is empty from what is away.
        sorted_out.empty += served
    with_artifacts = {_path(each).parent for each in sorted_out.taken if _is_path(each)}
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
        except (OSError, ValueError):
            # Below a folder that is closed to whoever runs this, too long a name, or one that no file can have.
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
        # The last two: a text that is not UTF-8 or a day that there is not, and lists in lists without an end.
        raise UserError(
            "source-not-yaml",
            f"{file} is not YAML",
            rule="mend that file, or move its folder away",
        ) from error
    location = meta.get("artifact_location") if isinstance(meta, dict) else None
    # Nothing else is written out: a short YAML may stand for more than there is memory.
    return location if isinstance(location, str) else ""


def _beside(location: str, folder: Path, store: Path) -> list[Path]:
    """In a folder store artifacts are with the runs, wherever the folder may be today, unless they were never there."""
    if _is_path(location) and _path(location).name == folder.name:
        return [folder]
    return _local(location, store.parent)


def _file_locations(source: Source) -> Iterator[tuple[str, list[Path]]]:
    """Those of a SQLite file."""
    with TemporaryDirectory() as scratch:
        try:
            with closing(sqlite3.connect(_address(source.path, Path(scratch)), uri=True)) as connection:
                # A location that is not UTF-8 is one that nothing is found at: the import says so.
                connection.text_factory = lambda text: text.decode(errors="replace")
                rows = connection.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall()
        except sqlite3.Error:
            # It is damaged, or none of MLflow's: the import says so.
            return
    for (location,) in rows:
        if location:
            yield str(location), _local(str(location), source.path.parent)


def _address(file: Path, scratch: Path) -> str:
    """A file to read the same from, so that nothing appears beside the store: not even the index of its log."""
    beside = [each for ending in ("-wal", "-journal") if (each := file.with_name(file.name + ending)).exists()]
    if not beside:
        return f"file:{quote(str(file))}?mode=ro&immutable=1"
    for each in (file, *beside):
        shutil.copyfile(each, scratch / each.name)
    return f"file:{quote(str(scratch / file.name))}"


def _below_named(location: str, named: Sequence[Path]) -> list[Path]:
    """The folders that a location may be in ones that were named, or of these: the longest part of its path counts."""
    served = _served(location)
    if served is not None:
        # What a server was given as --artifacts-destination holds the whole path, and so does its default, mlartifacts.
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
    """The folders that a location may be; `base` is where the old server is likely to have run."""
    served = _served(location)
    if served is not None and _of_this_server(location):
        return [base / _SERVED / served] if served else []
    if _is_path(location):
        path = _path(location)
        return [path if path.is_absolute() else base / path, *([base / "mlruns" / path.name] if path.name else [])]
    return []


def _served(location: str) -> str | None:
    """The path of an address that a server of MLflow's gives to artifacts; None for any other."""
    where = _split(location)
    if where.scheme == "mlflow-artifacts":
        path = where.path.strip("/")
        # With a host, the path of the interface may be said.
        return path.removeprefix(_INTERFACE) if where.netloc else path
    if where.scheme in ("http", "https") and where.path.startswith(f"/{_INTERFACE}"):
        return where.path.removeprefix(f"/{_INTERFACE}").strip("/")
    return None


def _of_this_server(location: str) -> bool:
    """Whether it is an address at the server that made it, whichever that is: one that names a host leads there."""
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
        # Such as one with half of the brackets of an address: nothing is at it.
        return SplitResult("unknown", "", "", "", "")

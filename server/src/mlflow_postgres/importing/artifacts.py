"""Copies artifacts into the server's volume. Nothing refers to them until the rows are committed."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import Failed
from ..retention import uploads
from . import folders
from .folders import Parts
from .progress import Counter

_FOLDERS = (("*", "artifacts"), ("models", "*", "artifacts"), ("traces", "*", "artifacts"))
"""The patterns of artifact folders in the folder of an experiment."""
PARTIAL = ".importing"
"""The name of an incomplete file in the volume. One is enough: only one import runs at a time."""

_MORE_SPACE = "more space in the volume, then the same import again"
_REMEDIES = {
    errno.ENOSPC: _MORE_SPACE,
    errno.EDQUOT: _MORE_SPACE,
    errno.ENAMETOOLONG: "a shorter name for it, or for a folder that it is in",
}


@dataclass(frozen=True, kw_only=True)
class Artifacts:
    """Artifacts to copy."""

    volume: Path
    files: Sequence[tuple[Path, Path]] = ()
    """Pairs of source and target."""
    folders: Sequence[Path] = ()
    """The target folders: one for each run, model or trace."""


def find(moves: Iterable[tuple[Path, int]], volume: Path) -> Artifacts:
    """Find the artifacts in folders of experiments. `moves` has each folder with the experiment's new id."""
    files = []
    folders: dict[Path, None] = {}
    for folder, number in moves:
        there = volume / str(number)
        for parts in _files(folder):
            files.append((folder.joinpath(*parts), there.joinpath(*parts)))
            folders[there.joinpath(*_owner_folder(parts))] = None
    return Artifacts(volume=volume, files=files, folders=list(folders))


def copy(artifacts: Artifacts) -> None:
    """Copy the artifacts. Raises `Failed` if one cannot be copied."""
    counter = Counter("write", "artifacts", len(artifacts.files))
    for source, target in artifacts.files:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _copy(source, target, artifacts.volume / PARTIAL)
        except OSError as error:
            raise Failed(
                "artifact-not-copied",
                f"the artifact {source.name!r} was not copied: {error.strerror}; nothing was changed",
                remedy=_REMEDIES.get(error.errno or 0, "the same import again"),
            ) from error
        counter.add(1)
    os.sync()


def _files(folder: Path) -> Iterator[Parts]:
    for parts, is_folder in folders.walk(folder, _may_lead_to_artifacts):
        if is_folder or parts[-1].startswith(uploads.PREFIX):
            continue
        if any(len(parts) > len(pattern) and _matches(parts, pattern) for pattern in _FOLDERS):
            yield parts


def _may_lead_to_artifacts(parts: Parts) -> bool:
    return any(_matches(parts, pattern) for pattern in _FOLDERS)


def is_artifact_path(parts: Parts) -> bool:
    """Whether a path in a folder store is an artifact folder, or in one."""
    inside = parts[2:] if parts[0] == ".trash" else parts[1:]
    return inside[:1] != ("tags",) and any(len(inside) >= len(each) and _matches(inside, each) for each in _FOLDERS)


def _matches(parts: Parts, pattern: Parts) -> bool:
    return all(wanted in ("*", part) for part, wanted in zip(parts, pattern, strict=False))


def _owner_folder(parts: Parts) -> Parts:
    """The artifact folder of the run, model or trace that a file belongs to."""
    return next(parts[: len(pattern)] for pattern in _FOLDERS if _matches(parts, pattern))


def _copy(source: Path, target: Path, partial: Path) -> None:
    with folders.open_file(source) as opened, partial.open("wb") as written:
        shutil.copyfileobj(opened, written, 1 << 20)
        if written.tell() != os.fstat(opened.fileno()).st_size:
            raise OSError(0, "it changed while it was copied")
    partial.rename(target)

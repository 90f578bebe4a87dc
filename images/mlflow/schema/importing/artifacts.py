"""Copy artifacts into the volume that the server serves them from. Nothing refers to them until the rows are there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..job import Failed
from . import walking
from .telling import Counter
from .walking import Parts

VOLUME = Path("/mlartifacts")
_FOLDERS = (("*", "artifacts"), ("models", "*", "artifacts"), ("traces", "*", "artifacts"))
"""Where MLflow keeps artifacts in the folder of an experiment."""


def copy_all(moves: Iterable[tuple[Path, int]], volume: Path = VOLUME) -> int:
    """Copy the artifacts in folders of experiments to where this server looks for them; how many files."""
    files = [
        (folder.joinpath(*parts), volume.joinpath(str(number), *parts))
        for folder, number in moves
        for parts in _files(folder)
    ]
    counter = Counter("write", "artifacts", len(files))
    for source, target in files:
        try:
            _copy(source, target)
        except OSError as error:
            raise Failed(
                f"the artifact {source.name!r} was not copied: {error.strerror}; nothing was changed but for files "
                "that nothing refers to. Mend it by making room for the volume, then run it again"
            ) from error
        counter.add(1)
    os.sync()
    return len(files)


def _files(folder: Path) -> Iterator[Parts]:
    for parts, is_folder in walking.below(folder, _may_lead_to_artifacts):
        if not is_folder and any(len(parts) > len(pattern) and _fits(parts, pattern) for pattern in _FOLDERS):
            yield parts


def _may_lead_to_artifacts(parts: Parts) -> bool:
    return any(_fits(parts, pattern) for pattern in _FOLDERS)


def in_a_store(parts: Parts) -> bool:
    """Whether a path in a folder store is that of artifacts."""
    inside = parts[2:] if parts[0] == ".trash" else parts[1:]
    return inside[:1] != ("tags",) and any(len(inside) >= len(each) and _fits(inside, each) for each in _FOLDERS)


def _fits(parts: Parts, pattern: Parts) -> bool:
    return all(wanted in ("*", part) for part, wanted in zip(parts, pattern, strict=False))


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".partial-{target.name}"[:255])
    with walking.opened(source) as opened, partial.open("wb") as written:
        shutil.copyfileobj(opened, written, 1 << 20)
        if written.tell() != os.fstat(opened.fileno()).st_size:
            raise OSError(0, "it changed while it was read")
    partial.rename(target)

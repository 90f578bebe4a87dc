"""What is in a folder of somebody else's. Root reads here, and what it reads is shown to others: only folders and
regular files count, and no link is followed, wherever it leads."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from .privileges import reading
from .progress import tell

Parts = tuple[str, ...]
"""A path from the folder that is walked through."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
# Whoever opens a pipe would wait for its other end.
_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW
_ANOTHER_BY_NOW = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


def is_folder(path: Path) -> bool:
    """Whether it is a folder that no link leads to."""
    try:
        with reading(), _folder(path):
            return True
    except OSError:
        return False


def below(top: Path, wanted: Callable[[Parts], bool]) -> Iterator[tuple[Parts, bool]]:
    """What is wanted of a folder: each with whether it is a folder itself, and that before what it holds.

    Says what is left behind.
    """
    waiting: list[Parts] = [()]
    while waiting:
        parts = waiting.pop()
        for name, kind in _entries(top, parts):
            found = (*parts, name)
            if not wanted(found):
                continue
            if kind == stat.S_IFDIR:
                waiting.append(found)
            elif kind != stat.S_IFREG:
                what = "a link, which is not followed" if kind == stat.S_IFLNK else "no regular file"
                tell(note=f"{'/'.join(found)!r} is {what}: left behind")
                continue
            yield found, kind == stat.S_IFDIR


def copy(top: Path, to: Path, wanted: Callable[[Parts], bool]) -> None:
    """Copy what is wanted of a folder. The copy belongs to whoever this process is when it does not read."""
    to.mkdir()
    for parts, folder in below(top, wanted):
        target = to.joinpath(*parts)
        if folder:
            target.mkdir()
        else:
            copy_file(top.joinpath(*parts), target)


def copy_file(source: Path, target: Path) -> None:
    """Copy a regular file."""
    with opened(source) as file, target.open("wb") as written:
        shutil.copyfileobj(file, written, 1 << 20)


def opened(path: Path) -> BinaryIO:
    """A regular file; OSError when it is something else, or when a link leads to it."""
    with reading(), _folder(path.parent) as parent:
        number = os.open(path.name, _FILE, dir_fd=parent)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(errno.EINVAL, f"{path.name} is no regular file")
    return os.fdopen(number, "rb")


def identity(found: os.stat_result) -> tuple[int, int]:
    """What the system tells files apart by."""
    return found.st_dev, found.st_ino


def identities(folder: Path, names: Iterable[str]) -> set[tuple[int, int]]:
    """The regular files of these names in a folder that no link leads to. None is opened: to close it again would take
    away the locks that SQLite has on it."""
    found = set()
    with reading(), _folder(folder) as number:
        for name in names:
            with suppress(FileNotFoundError):
                seen = os.stat(name, dir_fd=number, follow_symlinks=False)
                if stat.S_ISREG(seen.st_mode):
                    found.add(identity(seen))
    return found


@contextmanager
def _folder(path: Path) -> Iterator[int]:
    """A folder, opened one component after the other: a link may be put in any place at any moment."""
    if not path.is_absolute() or ".." in path.parts:
        raise OSError(errno.EINVAL, f"{path} is no plain path")
    number = os.open(path.anchor, _FOLDER)
    try:
        for part in path.parts[1:]:
            inner = os.open(part, _FOLDER, dir_fd=number)
            os.close(number)
            number = inner
        yield number
    finally:
        os.close(number)


def _entries(top: Path, parts: Parts) -> list[tuple[str, int]]:
    try:
        with reading(), _folder(top.joinpath(*parts)) as number, os.scandir(number) as entries:
            return sorted((entry.name, stat.S_IFMT(entry.stat(follow_symlinks=False).st_mode)) for entry in entries)
    except OSError as error:
        if not parts or error.errno not in _ANOTHER_BY_NOW:
            raise
        tell(note=f"{'/'.join(parts)!r} is not a folder any more: left behind")
        return []

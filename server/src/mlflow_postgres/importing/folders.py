"""Reads folders of other users.

The process reads them as root, and copies them to where others can read them. So it opens only folders and regular
files, and follows no symbolic link.
"""

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
from .progress import emit

Parts = tuple[str, ...]
"""The parts of a path below the folder that is walked."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
# O_NONBLOCK: otherwise open() of a named pipe waits for a writer.
_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW
_ANOTHER_BY_NOW = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


def is_folder(path: Path) -> bool:
    """Whether a path is a folder and contains no symbolic link."""
    try:
        with reading(), _folder(path):
            return True
    except OSError:
        return False


def walk(top: Path, include: Callable[[Parts], bool]) -> Iterator[tuple[Parts, bool]]:
    """Walk a folder. Yields the paths for which `include` is true, with whether each is a folder, parents first.

    Prints a note for everything that is neither a folder nor a regular file.
    """
    waiting: list[Parts] = [()]
    while waiting:
        parts = waiting.pop()
        for name, kind in _entries(top, parts):
            found = (*parts, name)
            if not include(found):
                continue
            if kind == stat.S_IFDIR:
                waiting.append(found)
            elif kind != stat.S_IFREG:
                what = "a symbolic link" if kind == stat.S_IFLNK else "not a regular file"
                emit(note=f"{'/'.join(found)!r} is {what}: not imported")
                continue
            yield found, kind == stat.S_IFDIR


def copy(top: Path, to: Path, include: Callable[[Parts], bool]) -> None:
    """Copy the included paths of a folder. The copy belongs to the server's user."""
    to.mkdir()
    for parts, folder in walk(top, include):
        target = to.joinpath(*parts)
        if folder:
            target.mkdir()
        else:
            copy_file(top.joinpath(*parts), target)


def copy_file(source: Path, target: Path) -> None:
    """Copy a regular file."""
    with open_file(source) as file, target.open("wb") as written:
        shutil.copyfileobj(file, written, 1 << 20)


def open_file(path: Path) -> BinaryIO:
    """Open a regular file. Raises OSError if it is not one, or if its path contains a symbolic link."""
    with reading(), _folder(path.parent) as parent:
        number = os.open(path.name, _FILE, dir_fd=parent)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(errno.EINVAL, f"{path.name} is not a regular file")
    return os.fdopen(number, "rb")


def identity(found: os.stat_result) -> tuple[int, int]:
    """The device and inode of a file, which identify it."""
    return found.st_dev, found.st_ino


def identities(folder: Path, names: Iterable[str]) -> set[tuple[int, int]]:
    """The identities of the regular files with these names in a folder.

    Does not open them: closing a file would release the locks that SQLite holds on it.
    """
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
    """Open a folder one component at a time: any part of the path may be replaced by a symbolic link at any moment."""
    if not path.is_absolute() or ".." in path.parts:
        raise OSError(errno.EINVAL, f"{path} is not an absolute path without '..'")
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
        emit(note=f"{'/'.join(parts)!r} is no longer a folder: not imported")
        return []

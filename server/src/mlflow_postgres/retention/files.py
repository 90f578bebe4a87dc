"""The files of what is removed, where the server keeps them."""

from __future__ import annotations

import contextlib
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ..importing.addresses import of_a_server

# Whatever else is in a path may be read in more than one way.
_PLAIN = re.compile(r"[\w .=@+,-]+")


@dataclass(frozen=True)
class Removed:
    """Files that are gone, and what is to be said of those that were left."""

    files: int = 0
    size: int = 0
    left: str = ""


def remove(store: Path, address: str | None, owner: str, below: str = "") -> Removed:
    """Remove the folder at an address; only one that has its owner's id in its path is sure to be nobody else's.

    With `below` only the artifacts in the owner's own folder in one of that name, for people choose the id themselves.
    """
    if not address:
        return Removed()
    folder = folder_of(store, address)
    if folder is None or not _is_of(owner, folder.relative_to(store).parts, below):
        return Removed(left=f"its files are left, for {address} is not in a folder of its own in the artifact store")
    if not folder.exists():
        return Removed()
    if folder.resolve() != store.resolve() / folder.relative_to(store):
        return Removed(left=f"its files are left, for there is a link in {folder}")
    sizes = [path.lstat().st_size for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]
    shutil.rmtree(folder)
    if folder.parent.name == owner:
        remove_empty(folder.parent)
    return Removed(len(sizes), sum(sizes))


def _is_of(owner: str, parts: tuple[str, ...], below: str) -> bool:
    return parts[-3:] == (below, owner, "artifacts") if below else owner in parts


def remove_empty(*folders: Path) -> None:
    """Remove folders that have nothing in them; others stay, and so does the store itself, which is a mount."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def folder_of(store: Path, address: str) -> Path | None:
    """The folder that the server means by an address; None when it is elsewhere, or the store itself."""
    where = urlsplit(address)
    parts = [part for part in where.path.split("/") if part]
    plain = all(_PLAIN.fullmatch(part) and part not in (".", "..") for part in parts)
    if not of_a_server(address) or not parts or not plain or where.query or where.fragment:
        return None
    return store.joinpath(*parts)

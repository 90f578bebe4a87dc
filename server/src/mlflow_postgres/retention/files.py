"""The artifact files of a removed run, model or trace."""

from __future__ import annotations

import contextlib
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ..importing.addresses import is_server_address

# Other characters, such as % or ?, have more than one reading in a URI.
_PLAIN = re.compile(r"[\w .=@+,-]+")


@dataclass(frozen=True)
class Removed:
    """The number and size of the removed files."""

    files: int = 0
    size: int = 0
    kept_because: str = ""
    """Why files were not removed; empty when all were."""


def remove(store: Path, address: str | None, owner: str, below: str = "") -> Removed:
    """Remove the folder of an artifact URI.

    Its path must contain the owner's id: any other folder may belong to something else. With `below`, the path must end
    in `below/owner/artifacts`: a client chooses the id of a trace, so it may be the id of another run.
    """
    if not address:
        return Removed()
    folder = folder_of(store, address)
    if folder is None or not _belongs_to(owner, folder.relative_to(store).parts, below):
        return Removed(kept_because=f"its files are kept: {address} is not a folder of its own in the artifact store")
    if not folder.exists():
        return Removed()
    if folder.resolve() != store.resolve() / folder.relative_to(store):
        return Removed(kept_because=f"its files are kept: the path {folder} contains a symbolic link")
    sizes = [path.lstat().st_size for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]
    shutil.rmtree(folder)
    if folder.parent.name == owner:
        remove_empty(folder.parent)
    return Removed(len(sizes), sum(sizes))


def _belongs_to(owner: str, parts: tuple[str, ...], below: str) -> bool:
    return parts[-3:] == (below, owner, "artifacts") if below else owner in parts


def remove_empty(*folders: Path) -> None:
    """Remove those of the folders that are empty. The store itself stays: it is a mount point."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def folder_of(store: Path, address: str) -> Path | None:
    """The folder that the server uses for an artifact URI; None for a URI elsewhere, or of the store itself."""
    uri = urlsplit(address)
    parts = [part for part in uri.path.split("/") if part]
    plain = all(_PLAIN.fullmatch(part) and part not in (".", "..") for part in parts)
    if not is_server_address(address) or not parts or not plain or uri.query or uri.fragment:
        return None
    return store.joinpath(*parts)

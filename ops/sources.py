"""Finds the store to import, and its kind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from contract.errors import UserError

MAGIC = b"SQLite format 3\0"
META = "meta.yaml"
_TRASH = ".trash"
_EXAMPLE = "make import SOURCE=mlflow.db"


@dataclass(frozen=True, kw_only=True)
class Source:
    """A store of MLflow's runs."""

    path: Path
    """The SQLite file, or the folder with the experiments' folders."""
    shown: str = ""
    """Its name in messages, if that is not its path."""
    rows_only: bool = False
    """Whether it holds rows of a PostgreSQL database, without MLflow's schema."""

    @property
    def display_name(self) -> str:
        """Its name in messages."""
        return self.shown or str(self.path)

    @property
    def is_folder(self) -> bool:
        return self.path.is_dir()

    @property
    def mounted(self) -> Path:
        """The folder to mount. For a SQLite file its folder, which has its journals too."""
        return self.path if self.is_folder else self.path.parent

    @property
    def file(self) -> str:
        """The file's name in the mounted folder; empty for a folder."""
        return "" if self.is_folder else self.path.name


def find_store(given: str) -> Source:
    """The store at a path or a file URI. Raises `UserError` if it is not a store."""
    with readable_errors():
        return _find_store(given)


@contextmanager
def readable_errors() -> Iterator[None]:
    """Turn errors of reading into a `UserError`."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        # pathlib raises RuntimeError and ValueError for a loop of links, an unknown home and an invalid path.
        what = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else " ".join(str(error).split())
        raise UserError(
            "source-unreadable", f"the store cannot be read: {what}", remedy="the same command, as the store's owner"
        ) from error


def _find_store(given: str) -> Source:
    scheme = urlsplit(given).scheme
    if given.startswith("sqlite:///"):
        given = unquote(given.removeprefix("sqlite:///").partition("?")[0])
    elif given.startswith("file:"):
        given = unquote(urlsplit(given).path)
    elif scheme and "://" in given:
        raise UserError(
            "source-kind-unknown",
            f"{scheme}://… cannot be imported",
            rule="a store is a SQLite file, a folder such as mlruns, or postgresql://…",
            remedy=_EXAMPLE,
        )
    path = Path(given).expanduser().resolve()
    if path.is_dir():
        return Source(path=_folder(path))
    if not path.is_file():
        raise UserError("source-not-there", f"{path}: there is no such file or folder", remedy=_EXAMPLE)
    try:
        begins = _begins(path)
    except OSError as error:
        raise UserError(
            "source-unreadable", f"{path} cannot be read: {error.strerror}", remedy=f"chmod u+r {path}"
        ) from error
    if begins != MAGIC:
        raise UserError(
            "source-not-sqlite",
            f"{path} is not a SQLite file",
            rule="SOURCE must be the file that MLflow stores its runs in",
            remedy=_EXAMPLE,
        )
    return Source(path=path)


def _begins(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(MAGIC))


def _folder(path: Path) -> Path:
    """The folder with the experiments' folders: this one or its mlruns."""
    for folder in (path / "mlruns", path):
        if any(experiments(folder)):
            return folder
    databases = [each.name for each in sorted(path.glob("*.db")) if each.is_file() and _begins(each) == MAGIC]
    if databases:
        raise UserError(
            "source-is-a-database",
            f"{path} holds no experiments, but {databases[0]}",
            rule="a store is one or the other",
            remedy=f"make import SOURCE={path / databases[0]}",
        )
    what = "is empty" if not any(path.iterdir()) else f"holds no experiment (no folder with a number and {META})"
    raise UserError(
        "source-without-experiments", f"{path} {what}", remedy="make import SOURCE=mlruns, or SOURCE=mlflow.db"
    )


def experiments(folder: Path) -> Iterator[Path]:
    """The folders of a store's experiments, deleted ones included."""
    for parent in (folder, folder / _TRASH):
        if parent.is_dir():
            yield from (each for each in sorted(parent.iterdir()) if each.name.isdigit() and (each / META).is_file())

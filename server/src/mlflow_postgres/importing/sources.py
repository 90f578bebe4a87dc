"""Copies the old store into a SQLite file with this MLflow's schema. The store itself is only read."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

from ..errors import Failed, Refused
from ..migration import revisions
from ..migration.programs import python
from . import artifacts, assessment_times, folders
from .privileges import reading

MAGIC = b"SQLite format 3\0"
_ABOUT_VALUES = re.compile(r"(CHECK constraint failed in|(NULL|NUMERIC|TEXT|non-\w+) value in) ")
MAIN_TABLES = revisions.MAIN_TABLES - {"tags"}


def copy_store(store: Path, scratch: Path) -> Path:
    """Copy the store into a SQLite file. Raises `Refused` if it is not an MLflow store."""
    with reading():
        scratch.mkdir()
        # The server's user must be able to create SQLite's journal in this folder.
        scratch.chmod(0o777)
        copy = scratch / "copy.db"
        is_folder = store.is_dir()
        if not is_folder:
            _copy_file(store, copy, scratch)
            copy.chmod(0o666)
    if is_folder:
        # MLflow follows symbolic links. It gets a copy without any, and does not run as root.
        folders.copy(store, scratch / "store", lambda parts: not artifacts.is_artifact_path(parts))
        _convert(scratch / "store", copy)
    _take_out_triggers(copy)
    return copy


def _take_out_triggers(copy: Path) -> None:
    """Drop all triggers. MLflow has none, and a foreign one could, for example, create an administrator."""
    with closing(sqlite3.connect(copy)) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {quoted(name)}")
        connection.commit()


def _copy_file(file: Path, copy: Path, scratch: Path) -> None:
    with folders.open_file(file) as opened:
        if opened.read(len(MAGIC)) != MAGIC:
            raise Refused(
                "source-not-sqlite",
                f"{file.name} is not a SQLite file",
                remedy="make import SOURCE=FILE, where FILE has MLflow's runs",
            )
    if links := [each.name for each in _journals(file) if each.is_symlink()]:
        raise Refused("source-is-a-link", f"{links[0]} is a symbolic link", remedy="the file itself in its place")
    try:
        try:
            _back_up(f"file:{quote(str(file))}?mode=ro", copy, allowed=file)
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise Refused(
                    "source-in-use",
                    f"{file.name} is locked by a program that writes into it",
                    rule="stop that server first",
                    remedy="the same import again",
                ) from error
            # A killed writer has left a journal. SQLite must recover the file first, and the store is read-only.
            copy.unlink(missing_ok=True)
            _back_up(str(_copy_with_journals(file, scratch / "raw")), copy)
        with closing(sqlite3.connect(copy)) as connection:
            found = [message for (message,) in connection.execute("PRAGMA quick_check(1000)")]
    except sqlite3.DatabaseError as error:
        found = [str(error)]
    # Bad values are reported later, each with its row.
    if damage := [message for message in found if message != "ok" and not _ABOUT_VALUES.match(message)]:
        raise Refused(
            "source-damaged",
            f"{file.name} is damaged: {' '.join(damage[0].split())}",
            remedy=f"sqlite3 {file.name} .recover | sqlite3 recovered.db, then: make import SOURCE=recovered.db",
        )


def _back_up(address: str, copy: Path, allowed: Path | None = None) -> None:
    """Copy a database with SQLite's backup API.

    SQLite opens the file by its path, as root. Somebody may have replaced it by a symbolic link since it was checked.
    So, before anything is copied, the open files must be `allowed` and its journals, if `allowed` is given.
    """
    before = _open_files()
    with closing(sqlite3.connect(address, uri=address.startswith("file:"), timeout=60)) as source:
        # Take the read lock first: the backup then is of one moment, whatever is logged meanwhile.
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if allowed and not {each for _, each in _open_files() - before} <= folders.identities(
            allowed.parent, [allowed.name, *(allowed.name + ending for ending in ("-wal", "-shm", "-journal"))]
        ):
            raise Refused(
                "source-replaced", f"{allowed.name} was replaced while it was opened", remedy="the same import again"
            )
        with closing(sqlite3.connect(copy)) as target:
            source.backup(target)
            # One file, without a write-ahead log.
            target.execute("PRAGMA journal_mode = DELETE")


def _open_files() -> set[tuple[int, tuple[int, int]]]:
    """The open file descriptors of this process, each with the identity of its file."""
    found = set()
    for number in map(int, os.listdir("/proc/self/fd")):
        # The descriptor of listdir itself is closed by now.
        with suppress(OSError):
            found.add((number, folders.identity(os.fstat(number))))
    return found


def _copy_with_journals(file: Path, folder: Path) -> Path:
    folder.mkdir()
    parts = [file, *_journals(file)]
    before = [_stamp(each) for each in parts]
    for each in parts:
        if each.exists():
            folders.copy_file(each, folder / each.name)
    if [_stamp(each) for each in parts] != before:
        raise Refused(
            "source-in-use",
            f"{file.name} was changed while it was copied, and could not be locked",
            rule="stop the server that uses it first",
            remedy="the same import again",
        )
    return folder / file.name


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.lstat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _journals(file: Path) -> list[Path]:
    """SQLite's journals, which belong to a database that was not closed."""
    return [file.with_name(file.name + ending) for ending in ("-wal", "-journal")]


def _convert(folder: Path, copy: Path) -> None:
    """Convert a folder store into a SQLite file with MLflow's own command."""
    command = ["-m", "mlflow", "migrate-filestore", "--source", str(folder), "--target", f"sqlite:///{copy}"]
    ended = python(command, 0)
    if not ended.succeeded:
        raise Failed("source-not-converted", f"MLflow could not read the folder: {ended.reason}; nothing was changed")
    for line in ended.error_lines:
        if "Failed to read" in line:
            raise Failed(
                "source-not-converted",
                f"MLflow could not read all of the folder: {line.strip()}; nothing was changed",
                rule="mend that file, or move its folder away",
                remedy="the same import again",
            )
    assessment_times.restore(folder, copy)


def upgrade_copy(copy: Path, mlflow_version: str) -> None:
    """Upgrade the copy to this MLflow's schema. Raises `Refused` if it is not MLflow's, or of a newer MLflow."""
    current, head = revision(copy, mlflow_version)
    if current == head:
        return
    ended = python(["-m", "mlflow", "db", "upgrade", f"sqlite:///{copy}"], 0)
    if not ended.succeeded:
        raise Failed(
            "source-not-upgraded", f"MLflow could not upgrade a copy of the store: {ended.reason}; nothing was changed"
        )


def revision(copy: Path, mlflow_version: str) -> tuple[str | None, str]:
    """The revision of a copy, None for one from before MLflow had revisions, and the head revision of this MLflow."""
    with closing(sqlite3.connect(copy)) as connection:
        found = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if missing := sorted(MAIN_TABLES - found):
            raise Refused(
                "source-not-mlflow",
                f"the store is not MLflow's: it has no table {missing[0]}",
                remedy="make import SOURCE=STORE, where STORE has MLflow's runs",
            )
        current = None
        if "alembic_version" in found:
            current = connection.execute("SELECT max(version_num) FROM alembic_version").fetchone()[0]
    known, head = revisions.known_revisions()
    if current is not None and current not in known:
        raise Refused(
            "source-too-new",
            f"the store has the schema {current}, which MLflow {mlflow_version} does not know: a newer MLflow made it",
            remedy="bin/pulumi config set mlflowVersion, and the version that made it",
        )
    return current, head


def open_copy(copy: Path) -> sqlite3.Connection:
    """Open the copy, without syncing to disk: nobody needs it after a power failure."""
    connection = sqlite3.connect(copy)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -65536")
    return connection


def columns(copy: sqlite3.Connection, database: str = "main", *, computed: bool = True) -> Mapping[str, Sequence[str]]:
    """The columns of the tables of the copy, or of an attached database, by table."""
    tables = [name for (name,) in copy.execute(f"SELECT name FROM {database}.sqlite_master WHERE type = 'table'")]
    # table_info leaves out generated columns. MLflow's models have some.
    what = "table_xinfo" if computed else "table_info"
    return {
        table: [row[1] for row in copy.execute(f"PRAGMA {database}.{what}({quoted(table)})")]
        for table in tables
        if not table.startswith("sqlite_")
    }


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'

"""The commit of an import, and the steps after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from ..errors import Failed
from ..migration.dump import PARTIAL
from ..migration.programs import without_rows
from . import target
from .progress import emit
from .target import Connection


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """A transaction that prints an event before and after COMMIT. Raises `Failed` if the connection is lost between."""
    committing = False
    try:
        with connection.transaction():
            yield
            emit(committing=True)
            committing = True
    except psycopg.Error as error:
        # With an open connection the error is the server's answer: it was not committed.
        if not committing or not connection.closed:
            raise
        raise Failed(
            "import-outcome-unknown",
            "the connection was lost during the commit",
            rule="it is not known whether the import was committed",
            remedy="the same import again, which reports it",
        ) from error
    emit(committed=True)


def partial_path(file: Path) -> Path:
    """The name of a file before the commit. The next schema job removes files with such names."""
    return file.with_name(PARTIAL + file.name)


def finish(connection: Connection, rows: Mapping[str, int], file: Path, copied: Path) -> Path:
    """Do the steps after the commit. Returns the final path of the comparison `file`. Errors are only printed.

    `copied` is the record of copied artifacts, which is not needed any more.
    """
    with suppress(OSError):
        # If it cannot be deleted, the next import finds the rows, and deletes it.
        copied.unlink()
    partial = partial_path(file)
    try:
        partial.rename(file)
    except OSError as error:
        emit(note=f"the comparison could not be renamed and is in {partial.name}: {error.strerror}")
        file = partial
    try:
        target.analyze(connection, rows)
    except psycopg.Error as error:
        reason = without_rows(str(error)).partition("\n")[0]
        emit(note=f"VACUUM ANALYZE of the imported tables failed; autovacuum will do it: {reason}")
    return file

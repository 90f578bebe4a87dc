"""The moment from which an import counts: what is known about it, and what is still to be done after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from ..migration.dump import PARTIAL
from ..migration.job import Failed
from ..migration.programs import without_rows
from . import target
from .progress import tell
from .target import Connection


@contextmanager
def committed(connection: Connection) -> Iterator[None]:
    """A transaction whose COMMIT is told before and after. Failed when the connection was lost in between."""
    asked = False
    try:
        with connection.transaction():
            yield
            tell(committing=True)
            asked = True
    except psycopg.Error as error:
        # An answer of a server that is still there is one that it was not.
        if not asked or not connection.closed:
            raise
        raise Failed(
            "the connection was lost while it was being committed: it is not known whether it was. "
            "Mend it by running it again: it will say"
        ) from error
    tell(committed=True)


def unfinished(file: Path) -> Path:
    """What a file is called until it counts; the next schema job removes what was left under that name."""
    return file.with_name(PARTIAL + file.name)


def finish(connection: Connection, rows: Mapping[str, int], file: Path, copied: Path) -> Path:
    """What is done after the commit; where the comparison is then. What goes wrong is told, and changes nothing.

    `copied` is where it was written down what was copied, for the case that it had not come to this.
    """
    with suppress(OSError):
        # If it stays, the next import finds the rows.
        copied.unlink()
    partial = unfinished(file)
    try:
        partial.rename(file)
    except OSError as error:
        tell(note=f"the comparison is still called {partial.name}: {error.strerror}")
        file = partial
    try:
        target.analyze(connection, rows)
    except psycopg.Error as error:
        reason = without_rows(str(error)).partition("\n")[0]
        tell(note=f"PostgreSQL has not looked at the tables that have grown, and will by itself: {reason}")
    return file

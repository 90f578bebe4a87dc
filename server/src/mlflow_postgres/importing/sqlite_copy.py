"""Creates a SQLite store with MLflow's schema of any revision, and fills it with the rows of another database."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import Refused
from . import users
from .sources import columns, quoted, revision

if TYPE_CHECKING:
    from alembic.config import Config


def fill(rows: Path, mlflow_version: str) -> Path:
    """Create a SQLite file with MLflow's tables, of the revision that the rows have, and copy the rows into it."""
    current, _ = revision(rows, mlflow_version)
    copy = rows.with_name("filled.db")
    _make_tables(copy, current)
    _fill(copy, rows)
    return copy


def fill_users(rows: Path, mlflow_version: str) -> Path:
    """The same for the tables of a sign-in database."""
    # Not at the top: it imports all of MLflow's sign-in.
    from mlflow.server.auth.db.utils import INITIAL_REVISION, _get_alembic_config

    copy = rows.with_name("filled.db")
    current = users.revision(rows, mlflow_version)
    _upgrade(_get_alembic_config(f"sqlite:///{copy}"), current or INITIAL_REVISION)
    _fill(copy, rows)
    return copy


def _fill(copy: Path, rows: Path) -> None:
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -65536")
        connection.execute("ATTACH ? AS given", (str(rows),))
        _copy_rows(connection)
        connection.commit()
    rows.unlink()


def _make_tables(copy: Path, current: str | None) -> None:
    """Create MLflow's first tables, then run its migrations up to a revision."""
    # Not at the top: it imports all of MLflow's models.
    import sqlalchemy
    from mlflow.store.db.utils import _get_alembic_config
    from mlflow.store.tracking.dbmodels.initial_models import Base

    engine = sqlalchemy.create_engine(f"sqlite:///{copy}")
    try:
        Base.metadata.create_all(engine)
    finally:
        engine.dispose()
    if current is not None:
        configuration: Callable[[str], Config] = _get_alembic_config
        _upgrade(configuration(f"sqlite:///{copy}"), current)


def _upgrade(configuration: Config, current: str) -> None:
    # Not at the top: only an import of rows needs Alembic.
    from alembic import command

    command.upgrade(configuration, current)


def _copy_rows(connection: sqlite3.Connection) -> None:
    given = columns(connection, "given")
    for table, names in columns(connection, computed=False).items():
        if table.startswith("alembic_version"):
            continue
        if table not in given or (lost := sorted(set(names) - set(given[table]))):
            what = f"column {table}.{lost[0]}" if table in given else f"table {table}"
            raise Refused(
                "source-tables-closed",
                f"the database has no readable {what}, which its MLflow schema has",
                remedy="the same import, as the owner of the tables",
            )
        listed = ", ".join(map(quoted, names))
        # The rows include those that the migrations have inserted.
        connection.execute(f"DELETE FROM main.{quoted(table)}")
        connection.execute(f"INSERT INTO main.{quoted(table)} ({listed}) SELECT {listed} FROM given.{quoted(table)}")

"""A store in PostgreSQL. Its rows are copied to a file, in one snapshot. The database is only read."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from math import copysign
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from contract.errors import UserError
from contract.import_events import Progress

from .sources import Source

Report = Callable[[Progress], None]
"""A function that receives the progress of reading."""

FILE = "rows.db"
_BATCH = 10_000
# Rows of a table with columns of any length.
_LONG_BATCH = 200
_SHORT = {"smallint", "integer", "bigint", "real", "double precision", "boolean", "character varying"}

# Types that are copied as they are. All others are copied as PostgreSQL's text.
_AS_IT_IS = {
    "smallint",
    "integer",
    "bigint",
    "real",
    "double precision",
    "boolean",
    "text",
    "character varying",
    "bytea",
}
_FLOATS = {"real", "double precision"}


def is_address(given: str) -> bool:
    """Whether it is the address of a PostgreSQL, with or without SQLAlchemy's driver."""
    scheme, found, _ = given.partition("://")
    return bool(found) and scheme.partition("+")[0] in ("postgresql", "postgres")


def rows_of(given: str, folder: Path, report: Report) -> Source:
    """Copy the tables of a database to a file in a new folder. Raises `UserError` if it cannot be read."""
    parameters = _parameters(given)
    shown = _shown(parameters)
    folder.mkdir()
    file = folder / FILE
    with _in_words(shown), _connected(parameters) as connection, closing(sqlite3.connect(file)) as rows:
        # With the schema's name: another schema may come first in the search path, and have a table of the same name.
        schema, found = _tables(connection)
        if not found:
            raise UserError(
                "source-without-tables",
                f"{shown} has no tables of MLflow's that may be read",
                remedy="SOURCE=postgresql://user@host:port/database of the database and the user that MLflow has there",
            )
        rows.execute("PRAGMA synchronous = OFF")
        for table, columns in found.items():
            _copy(connection, rows, sql.Identifier(schema, table), table, columns, report)
        rows.commit()
    return Source(path=file, shown=shown, rows_only=True)


def _parameters(given: str) -> dict[str, Any]:
    address = "postgresql://" + given.partition("://")[2]
    try:
        parameters = conninfo_to_dict(address)
    except psycopg.Error:
        raise _unclear_address() from None
    where = [str(parameters.get(name) or "") for name in ("host", "port", "dbname")]
    # An unencoded password ends at its first special character, and the rest becomes a part of these.
    if any("@" in each for each in where) or (not where[1].replace(",", "").isdecimal() and where[1]):
        raise _unclear_address()
    return parameters


def _unclear_address() -> UserError:
    # The address is not shown: a part of it may be the password.
    return UserError(
        "source-address-invalid",
        "the address of the database cannot be understood",
        rule="it must be postgresql://user:password@host:port/database, and in the password every character but "
        "letters and digits is percent-encoded, such as %40 for @",
        remedy="an address without the password, which PGPASSWORD or ~/.pgpass holds",
    )


def _shown(parameters: dict[str, Any]) -> str:
    """The address without its password."""
    user, host, port, name = (str(parameters.get(each) or "") for each in ("user", "host", "port", "dbname"))
    return f"postgresql://{f'{user}@' if user else ''}{host}{f':{port}' if port else ''}/{name}"


@contextmanager
def _in_words(shown: str) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        raise UserError(
            "source-not-utf8",
            f"{shown} holds a text that is not UTF-8",
            rule="PostgreSQL stores only UTF-8 here",
            remedy="an UPDATE of that text in the old database",
        ) from error
    except (psycopg.Error, sqlite3.Error) as error:
        # Only the first line: the others may show rows.
        reason = " ".join(str(error).partition("\n")[0].split())
        match error:
            case psycopg.OperationalError():
                remedy = "a host and a port that this machine reaches, and the password in PGPASSWORD or ~/.pgpass"
            case sqlite3.OperationalError():
                remedy = f"room in {gettempdir()}, or TMPDIR set to a folder with room for all of its rows"
            case _:
                remedy = "the same command, as a user who may read all of MLflow's tables"
        raise UserError(
            "source-not-read", f"{shown} was not read: {reason}; nothing was changed", remedy=remedy
        ) from error


@contextmanager
def _connected(parameters: dict[str, Any]) -> Iterator[psycopg.Connection[Any]]:
    """A read-only connection with one snapshot."""
    settings = {"client_encoding": "UTF8", "connect_timeout": 10, "application_name": "mlflow-postgres import"}
    with psycopg.connect(**{**parameters, **settings}) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        connection.execute("SET LOCAL statement_timeout = 0")
        # A row security policy would silently leave rows out. Now it is an error.
        connection.execute("SET LOCAL row_security = off")
        connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        yield connection


def _tables(connection: psycopg.Connection[Any]) -> tuple[str, dict[str, list[tuple[str, str]]]]:
    """The schema of MLflow's tables, and the columns of every table in it, with their types."""
    found: dict[str, list[tuple[str, str]]] = {}
    rows = connection.execute(
        "SELECT table_schema, table_name, column_name, data_type"
        " FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)"
        " WHERE table_type = 'BASE TABLE' AND is_generated = 'NEVER' AND table_schema ="
        " (SELECT nspname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
        "   WHERE pg_class.oid = coalesce(to_regclass('experiments'), to_regclass('users')))"
        " ORDER BY table_name, ordinal_position"
    )
    schemas = set()
    for schema, table, column, kind in rows:
        schemas.add(schema)
        found.setdefault(table, []).append((column, kind))
    return "".join(schemas), found


def _copy(
    connection: psycopg.Connection[Any],
    rows: sqlite3.Connection,
    there: sql.Identifier,
    table: str,
    columns: Sequence[tuple[str, str]],
    report: Report,
) -> None:
    names = ", ".join('"' + name.replace('"', '""') + '"' for name, _ in columns)
    quoted = '"' + table.replace('"', '""') + '"'
    # Without types: a typed column would convert its values.
    rows.execute(f"CREATE TABLE {quoted} ({names})")
    floats = [place for place, (_, kind) in enumerate(columns) if kind in _FLOATS]
    selected = sql.SQL(", ").join(
        sql.SQL("{}" if kind in _AS_IT_IS else "{}::text").format(sql.Identifier(name)) for name, kind in columns
    )
    insert = f"INSERT INTO {quoted} VALUES ({', '.join('?' * len(columns))})"
    size = _BATCH if all(kind in _SHORT for _, kind in columns) else _LONG_BATCH
    done = 0
    # In binary: old versions write floats as inexact text.
    with connection.cursor(name="rows", binary=True) as cursor:
        cursor.execute(sql.SQL("SELECT {} FROM {}").format(selected, there))
        while batch := cursor.fetchmany(size):
            rows.executemany(insert, _exact(batch, floats) if floats else batch)
            done += len(batch)
            report(Progress(phase="read", table=table, rows=done, of=0))
    report(Progress(phase="read", table=table, rows=done, of=done))


def _exact(batch: Sequence[Any], floats: Sequence[int]) -> Iterator[list[Any]]:
    """Rows with floats as SQLite can store them: it has neither -0.0 nor NaN."""
    for row in batch:
        changed = list(row)
        for place in floats:
            value = changed[place]
            if value is not None and (value != value or (not value and copysign(1, value) < 0)):
                changed[place] = repr(value).encode()
        yield changed

"""Writes the rows of the copy into the database, and reads them back, in the caller's transaction."""

from __future__ import annotations

import itertools
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

import psycopg
from psycopg import sql

from ..errors import Refused
from . import target
from .changes import Changes, change_rows
from .comparison import Tally
from .plans import DEFAULT
from .progress import Counter
from .sources import quoted
from .tables import EXPERIMENT, Cell, Kind, Table
from .target import Connection, listed, named
from .values import CHANGE_COPY, Row, batch_size, canonical, convert_batches, key_of

# Conversions for the comparison of values: equal JSON may be written in several ways, and marshal has no dates.
_NORMAL_FORMS: Mapping[Kind, Callable[[Any], str]] = {Kind.JSON: canonical, Kind.DATE: str}

# Matches rows of this transaction only. It must not set savepoints: rows after one have another transaction id.
_WRITTEN_HERE = "xmin = pg_current_xact_id()::xid"


def write(
    connection: Connection,
    copy: sqlite3.Connection,
    tables: Sequence[Table],
    changes: Changes,
    expected: Mapping[str, int],
) -> dict[str, Tally]:
    """Write all tables, parents first. Returns their tallies. Raises `Refused` if PostgreSQL rejects a row."""
    tallies = {}
    for table in tables:
        if expected[table.name]:
            tallies[table.name] = _write_table(connection, copy, table, changes, expected[table.name])
    return tallies


def _write_table(connection: Connection, copy: sqlite3.Connection, table: Table, changes: Changes, rows: int) -> Tally:
    tally = Tally()
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(named(table), listed(table.names))
    counter = Counter("write", table.name, rows)
    default_rows: list[Row] = []
    # The default experiment exists already, and is empty.
    replaces_default = table.name == EXPERIMENT[0] and changes.replaces_default
    try:
        with connection.cursor() as cursor, cursor.copy(statement) as stream:
            for batch in _rows(copy, table, changes):
                tally.add(_comparable(table, batch))
                counter.add(len(batch))
                if replaces_default:
                    number = table.names.index(EXPERIMENT[1])
                    default_rows += [row for row in batch if row[number] == DEFAULT]
                    batch = [row for row in batch if row[number] != DEFAULT]
                for row in batch:
                    stream.write_row(row)
    except psycopg.errors.UniqueViolation:
        raise
    except (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.ProgramLimitExceeded) as error:
        raise Refused(
            "row-rejected",
            f"PostgreSQL rejects {_describe_row(error, copy, table, changes, replaces_default=replaces_default)}: "
            f"{error.diag.message_primary}",
            remedy=CHANGE_COPY,
        ) from error
    for row in default_rows:
        _update_default_experiment(connection, table, row)
    return tally


def _describe_row(
    error: psycopg.Error, copy: sqlite3.Connection, table: Table, changes: Changes, *, replaces_default: bool
) -> str:
    """The row of an error, in words. PostgreSQL reports the line number of COPY."""
    line = re.search(r"\bline (\d+)", error.diag.context or "")
    if line is None:
        return f"a row of {table.name}"
    number = table.names.index(EXPERIMENT[1]) if replaces_default else None
    rows = (row for batch in _rows(copy, table, changes) for row in batch if number is None or row[number] != DEFAULT)
    row = next(itertools.islice(rows, int(line[1]) - 1, None), None)
    return f"the row of {table.name} with {key_of(table, row)}" if row else f"a row of {table.name}"


def _rows(copy: sqlite3.Connection, table: Table, changes: Changes) -> Iterator[list[Row]]:
    """The converted rows of a table, in batches."""
    change = change_rows(table, changes)
    check = convert_batches(table)
    convert = convert_batches(table.without_limits()) if change else check
    cursor = copy.execute(f"SELECT {', '.join(map(quoted, table.names))} FROM {quoted(table.name)}")
    while found := cursor.fetchmany(batch_size(table)):
        batch = convert(found)
        if change:
            for row in batch:
                change(row)
            batch = check(batch)
        yield batch


def _update_default_experiment(connection: Connection, table: Table, row: Row) -> None:
    # Not deleted and inserted: a client that logs into the experiment meanwhile would not find it.
    values = dict(zip(table.names, row, strict=True))
    number = values.pop(EXPERIMENT[1])
    changed = sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in values)
    connection.execute(
        sql.SQL("UPDATE {} SET {} WHERE {} = %s").format(named(table), changed, sql.Identifier(EXPERIMENT[1])),
        [*values.values(), number],
    )


def read_back(
    connection: Connection,
    copy: sqlite3.Connection,
    tables: Sequence[Table],
    changes: Changes,
    written: Mapping[str, Tally],
) -> dict[str, Tally]:
    """Read back the rows that this transaction has written. Returns their tallies."""
    present = [table for table in tables if table.name in written]
    indexed = target.indexed(connection)
    listed_keys: dict[str, sql.Identifier] = {}
    found = {}
    for table in present:
        columns, owner = _lookup_columns(table, present, indexed)
        if owner.name not in listed_keys:
            listed_keys[owner.name] = _list_keys(connection, copy, owner, changes)
        found[table.name] = _read_table(connection, table, columns, listed_keys[owner.name], written[table.name].rows)
    return found


def _lookup_columns(table: Table, tables: Sequence[Table], indexed: Set[Cell]) -> tuple[Sequence[str], Table]:
    """The columns to find a table's rows by, and the table whose keys they hold.

    For a table with a composite key, an indexed reference to its parent: the parent has fewer keys.
    """
    owners = {(each.name, *each.key): each for each in tables if each.name != EXPERIMENT[0]}
    if len(table.key) > 1:
        for column in table.columns:
            owner = owners.get(column.root)
            if owner and (table.name, column.name) in indexed:
                return [column.name], owner
    return table.key, table


def _list_keys(connection: Connection, copy: sqlite3.Connection, table: Table, changes: Changes) -> sql.Identifier:
    """Create a temporary table with the keys of the rows that were written into a table."""
    keys = sql.Identifier("pg_temp", f"keys_of_{table.name}")
    columns = listed(table.key)
    connection.execute(
        sql.SQL("CREATE TEMPORARY TABLE {} ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA").format(
            sql.Identifier(f"keys_of_{table.name}"), columns, named(table)
        )
    )
    indexes = [table.names.index(name) for name in table.key]
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(keys, columns)
    with connection.cursor() as cursor, cursor.copy(statement) as stream:
        for batch in _rows(copy, table, changes):
            for row in batch:
                stream.write_row([row[index] for index in indexes])
    connection.execute(sql.SQL("ANALYZE {}").format(keys))
    return keys


def _read_table(
    connection: Connection, table: Table, lookup_columns: Sequence[str], keys: sql.Identifier, rows: int
) -> Tally:
    tally = Tally()
    columns = sql.SQL(", ").join(
        sql.SQL("{}::text" if column.kind is Kind.JSON else "{}").format(sql.Identifier(column.name))
        for column in table.columns
    )
    query = sql.SQL("SELECT {} FROM {} WHERE ({}) IN (SELECT * FROM {}) AND ").format(
        columns, named(table), listed(lookup_columns), keys
    ) + sql.SQL(_WRITTEN_HERE)
    # All rows are read. By default PostgreSQL plans a cursor for its first rows.
    connection.execute("SET LOCAL cursor_tuple_fraction = 1")
    counter = Counter("check", table.name, rows)
    with connection.cursor(name="read_back", binary=True) as cursor:
        cursor.execute(query)
        while batch := cursor.fetchmany(batch_size(table)):
            tally.add(_comparable(table, batch))
            counter.add(len(batch))
    return tally


def _comparable(table: Table, batch: Sequence[Sequence[object]]) -> Iterable[Sequence[object]]:
    """Rows with their values converted for the comparison."""
    indexes = [(index, column.kind) for index, column in enumerate(table.columns) if column.kind in _NORMAL_FORMS]
    if not indexes:
        return batch
    rows = [list(row) for row in batch]
    for row in rows:
        for index, kind in indexes:
            if row[index] is not None:
                row[index] = _NORMAL_FORMS[kind](row[index])
    return rows

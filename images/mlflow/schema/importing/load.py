"""Write the rows of the copy into the database, and read them back, within one transaction of somebody else's."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from psycopg import sql

from .changes import Changes, change_rows
from .checks import Tally
from .plans import DEFAULT
from .sources import quoted
from .tables import EXPERIMENT, Kind, Table
from .target import Connection, listed, named
from .telling import Counter
from .values import Row, canonical, convert_batches

_BATCH = 10_000
"""Rows that are in memory at a time."""
_LONG_BATCH = 200
"""The same of a table whose texts may be of any length, such as those of spans: the container has 1.5 GB."""
_LONG = (Kind.TEXT, Kind.JSON, Kind.BYTES)

# How values are compared that may be written in several ways, or that only Python has.
_WRITTEN: Mapping[Kind, Callable[[Any], str]] = {Kind.JSON: canonical, Kind.DATE: str}

# Rows of this very transaction. No savepoint may be set in it: what follows one carries another number.
_OURS = "xmin = pg_current_xact_id()::xid"


def write(
    connection: Connection,
    copy: sqlite3.Connection,
    tables: Sequence[Table],
    changes: Changes,
    expected: Mapping[str, int],
) -> dict[str, Tally]:
    """Write all tables, parents first; what was written. Raises `Refused` at what PostgreSQL cannot hold."""
    tallies = {}
    for table in tables:
        if expected[table.name]:
            tallies[table.name] = _write_table(connection, copy, table, changes, expected[table.name])
    return tallies


def _write_table(connection: Connection, copy: sqlite3.Connection, table: Table, changes: Changes, rows: int) -> Tally:
    tally = Tally()
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(named(table), listed(table.names))
    counter = Counter("write", table.name, rows)
    already: list[Row] = []
    # The first experiment is in the database, without anything in it.
    takes_over = table.name == EXPERIMENT[0] and changes.takes_over_default
    with connection.cursor() as cursor, cursor.copy(statement) as stream:
        for batch in _rows(copy, table, changes):
            tally.add(_comparable(table, batch))
            counter.add(len(batch))
            if takes_over:
                number = table.names.index(EXPERIMENT[1])
                already += [row for row in batch if row[number] == DEFAULT]
                batch = [row for row in batch if row[number] != DEFAULT]
            for row in batch:
                stream.write_row(row)
    for row in already:
        _take_over(connection, table, row)
    return tally


def _rows(copy: sqlite3.Connection, table: Table, changes: Changes) -> Iterator[list[Row]]:
    """The rows as they are written, in batches."""
    change = change_rows(table, changes)
    check = convert_batches(table)
    convert = convert_batches(table.loosened()) if change else check
    cursor = copy.execute(f"SELECT {', '.join(map(quoted, table.names))} FROM {quoted(table.name)}")
    while found := cursor.fetchmany(_batch(table)):
        batch = convert(found)
        if change:
            for row in batch:
                change(row)
            batch = check(batch)
        yield batch


def _batch(table: Table) -> int:
    return _LONG_BATCH if any(each.kind in _LONG and each.length is None for each in table.columns) else _BATCH


def _take_over(connection: Connection, table: Table, row: Row) -> None:
    # Not deleted and made again: a client that logs into it meanwhile would find none.
    values = dict(zip(table.names, row, strict=True))
    number = values.pop(EXPERIMENT[1])
    changed = sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in values)
    connection.execute(
        sql.SQL("UPDATE {} SET {} WHERE {} = %s").format(named(table), changed, sql.Identifier(EXPERIMENT[1])),
        [*values.values(), number],
    )


def read_back(connection: Connection, tables: Sequence[Table], written: Mapping[str, Tally]) -> dict[str, Tally]:
    """What the database holds of what this transaction has written."""
    found = {}
    for table in tables:
        if table.name in written:
            found[table.name] = _read_table(connection, table, written[table.name].rows)
    return found


def _read_table(connection: Connection, table: Table, rows: int) -> Tally:
    tally = Tally()
    columns = sql.SQL(", ").join(
        sql.SQL("{}::text" if column.kind is Kind.JSON else "{}").format(sql.Identifier(column.name))
        for column in table.columns
    )
    query = sql.SQL("SELECT {} FROM {} WHERE ").format(columns, named(table)) + sql.SQL(_OURS)
    counter = Counter("check", table.name, rows)
    with connection.cursor(name="read_back", binary=True) as cursor:
        cursor.execute(query)
        while batch := cursor.fetchmany(_batch(table)):
            tally.add(_comparable(table, batch))
            counter.add(len(batch))
    return tally


def _comparable(table: Table, batch: Sequence[Sequence[Any]]) -> Iterable[Sequence[Any]]:
    """Rows without what may be written in several ways."""
    places = [(place, column.kind) for place, column in enumerate(table.columns) if column.kind in _WRITTEN]
    if not places:
        return batch
    rows = [list(row) for row in batch]
    for row in rows:
        for place, kind in places:
            if row[place] is not None:
                row[place] = _WRITTEN[kind](row[place])
    return rows

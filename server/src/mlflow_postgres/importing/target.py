"""The database that the runs are written into: its existing rows, and new ids for the imported ones."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence

import psycopg
from psycopg import sql

from ..errors import Failed
from ..migration.connections import value
from .links import ASSOCIATIONS, EXPERIMENT_TYPE
from .plans import DEFAULT, Experiment, Model, can_keep_id
from .sources import quoted
from .tables import EXPERIMENT, Cell, StoredColumn, Table

Connection = psycopg.Connection
_BATCH = 5_000


def stored(connection: Connection) -> dict[Cell, StoredColumn]:
    """The columns of MLflow's schema, without generated ones."""
    rows = connection.execute(
        "SELECT table_name, column_name, data_type, character_maximum_length, is_nullable = 'YES'"
        " FROM information_schema.columns WHERE table_schema = 'public' AND is_generated = 'NEVER'"
    )
    return {
        (table, column): StoredColumn(type=kind, length=length, nullable=nullable)
        for table, column, kind, length, nullable in rows
    }


def indexed(connection: Connection) -> set[Cell]:
    """The leading columns of indexes. Partial indexes do not count."""
    rows = connection.execute(
        "SELECT relname, attname FROM pg_index JOIN pg_class ON pg_class.oid = indrelid"
        " JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]"
        " WHERE relnamespace = 'public'::regnamespace AND indisvalid AND indpred IS NULL"
    )
    return {(table, column) for table, column in rows}


def revision(connection: Connection) -> str:
    """The revision of the schema."""
    return str(value(connection, "SELECT version_num FROM public.alembic_version"))


def experiments(connection: Connection) -> list[Experiment]:
    rows = connection.execute("SELECT experiment_id, workspace, name FROM public.experiments")
    return [Experiment(id=number, workspace=workspace, name=name) for number, workspace, name in rows]


KEPT_COLUMNS = ("name", "workspace", "artifact_location", "lifecycle_stage")
"""The columns that the existing default experiment keeps if the old one replaces its values."""


def kept_values(connection: Connection, experiment: int) -> dict[str, object]:
    """The values of these columns, by column."""
    query = sql.SQL("SELECT {} FROM public.experiments WHERE experiment_id = %s").format(listed(KEPT_COLUMNS))
    row = connection.execute(query, (experiment,)).fetchone()
    if row is None:
        raise Failed(
            "experiment-deleted",
            f"the experiment {experiment} was deleted; nothing was changed",
            remedy="the same import again",
        )
    return dict(zip(KEPT_COLUMNS, row, strict=True))


def models(connection: Connection) -> list[Model]:
    return [(row[0], row[1]) for row in connection.execute("SELECT workspace, name FROM public.registered_models")]


def in_use(connection: Connection, tables: Sequence[Table], experiment: int) -> bool:
    """Whether an experiment has any rows."""
    for table in tables:
        for index in table.indexes(EXPERIMENT) if table.name != EXPERIMENT[0] else ():
            query = sql.SQL("SELECT 1 FROM {} WHERE {} = %s LIMIT 1").format(
                named(table), sql.Identifier(table.names[index])
            )
            if connection.execute(query, (experiment,)).fetchone():
                return True
    return any(table.name == ASSOCIATIONS for table in tables) and _names_experiment(connection, experiment)


def _names_experiment(connection: Connection, experiment: int) -> bool:
    number = str(experiment)
    query = (
        "SELECT count(*) FROM public.entity_associations"
        " WHERE (source_type, source_id) = (%s, %s) OR (destination_type, destination_id) = (%s, %s)"
    )
    return bool(value(connection, query, EXPERIMENT_TYPE, number, EXPERIMENT_TYPE, number))


def existing_keys(connection: Connection, copy: sqlite3.Connection, table: Table) -> Iterator[tuple[object, ...]]:
    """The primary keys of a table that exist both in the copy and in the database."""
    names = ", ".join(quoted(each) for each in table.key)
    alike = sql.SQL(" AND ").join(sql.SQL("{} = %s").format(sql.Identifier(each)) for each in table.key)
    single = sql.SQL("SELECT {} FROM {} WHERE {} = ANY(%s)").format(
        sql.Identifier(table.key[0]), named(table), sql.Identifier(table.key[0])
    )
    each_ = sql.SQL("SELECT 1 FROM {} WHERE {}").format(named(table), alike)
    cursor = copy.execute(f"SELECT {names} FROM {quoted(table.name)}")
    while batch := cursor.fetchmany(_BATCH):
        if len(table.key) == 1:
            yield from connection.execute(single, ([key for (key,) in batch],))
        else:
            yield from (key for key in batch if connection.execute(each_, key).fetchone())


def new_ids(connection: Connection, old: Iterable[int], *, keep: bool, default: bool) -> dict[int, int]:
    """Reserve ids for the old store's experiments. Returns new ids by old ones. Unused ids stay reserved."""
    old = list(old)
    kept = {number: number for number in old if keep and can_keep_id(number)}
    if default:
        kept[DEFAULT] = DEFAULT
    _reserve(connection, EXPERIMENT, max(kept.values(), default=DEFAULT))
    # A client may have created an experiment since the plan was made.
    for number in _taken(connection, kept) - ({DEFAULT} if default else set()):
        del kept[number]
    rest = [number for number in old if number not in kept]
    sequence = _sequence(connection, EXPERIMENT)
    new = connection.execute("SELECT nextval(%s::regclass) FROM generate_series(1, %s)", (sequence, len(rest)))
    return kept | {number: found for number, (found,) in zip(rest, new.fetchall(), strict=True)}


def _taken(connection: Connection, numbers: Iterable[int]) -> set[int]:
    query = "SELECT experiment_id FROM public.experiments WHERE experiment_id = ANY(%s)"
    return {number for (number,) in connection.execute(query, (list(numbers),))}


def new_numbers(connection: Connection, copy: sqlite3.Connection, tables: Iterable[Table]) -> dict[Cell, int]:
    """Reserve serial numbers for the other tables. Returns the amounts to add to the old ones, by column."""
    added = {}
    for table in tables:
        if table.counter is None or table.name == EXPERIMENT[0]:
            continue
        (largest,) = copy.execute(f"SELECT max({quoted(table.counter)}) FROM {quoted(table.name)}").fetchone()
        if largest is not None:
            cell = (table.name, table.counter)
            added[cell] = _reserve(connection, cell, 0, int(largest)) - int(largest)
    return added


def _reserve(connection: Connection, cell: Cell, least: int, more: int = 0) -> int:
    """Raise a sequence above `least` and all existing numbers, and by `more` in addition.

    Returns its last reserved number.
    """
    table, column = cell
    target = sql.Identifier("public", table)
    sequence = _sequence(connection, cell)
    raised = sql.SQL("SELECT setval(%s::regclass, greatest(nextval(%s::regclass), %s, (SELECT max({}) FROM {})) + %s)")
    with connection.transaction():
        # Without the lock, a client could take numbers between nextval and setval, and setval would lower the sequence.
        # An INSERT waits for this lock before it takes its number.
        connection.execute(sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(target))
        cursor = connection.execute(raised.format(sql.Identifier(column), target), (sequence, sequence, least, more))
        return int(cursor.fetchall()[0][0])


def _sequence(connection: Connection, cell: Cell) -> str:
    table, column = cell
    found = value(connection, "SELECT pg_get_serial_sequence(%s, %s)", f"public.{quoted(table)}", column)
    if found is None:
        raise Failed(
            "sequence-missing",
            f"the column {table}.{column} has no sequence; nothing was changed",
            remedy="make up",
        )
    return str(found)


def named(table: Table) -> sql.Identifier:
    return sql.Identifier("public", table.name)


def listed(names: Iterable[str]) -> sql.Composable:
    """A list of columns for a statement."""
    return sql.SQL(", ").join(map(sql.Identifier, names))


def analyze(connection: Connection, rows: Mapping[str, int]) -> None:
    """Run VACUUM ANALYZE on the imported tables. Statistics are needed to plan searches.

    VACUUM sets the visibility map, which index-only scans need.
    """
    for table, count in rows.items():
        if count:
            connection.execute(sql.SQL("VACUUM (ANALYZE) {}").format(sql.Identifier("public", table)))

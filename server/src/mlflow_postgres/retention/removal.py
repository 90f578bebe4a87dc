"""One thing is removed: its rows, then its files, then the rows for good. Whatever fails leaves all of its rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..migration.connections import tables
from ..migration.grants import quoted
from . import files
from .due import Connection, Kind, Thing, still_due

# Children that a deletion takes along, or that lose their parent, PostgreSQL sees to by itself.
_CHILDREN = """
SELECT relname, attname
  FROM pg_constraint
  JOIN pg_class ON pg_class.oid = conrelid
  JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
 WHERE contype = 'f' AND confrelid = %s::regclass AND confdeltype IN ('a', 'r') AND cardinality(conkey) = 1
"""
_LINKED = (
    "(source_type = ANY(%(types)s) AND source_id = %(id)s)"
    " OR (destination_type = ANY(%(types)s) AND destination_id = %(id)s)"
)


@dataclass(frozen=True)
class Removal:
    """The statements that remove a kind of thing from this schema, whatever version of MLflow it is of."""

    kind: Kind
    statements: tuple[tuple[str, dict[str, list[str]]], ...]


def removal(connection: Connection, kind: Kind) -> Removal:
    return Removal(kind, tuple(_statements(connection, kind)))


def _statements(connection: Connection, kind: Kind) -> Iterator[tuple[str, dict[str, list[str]]]]:
    there = tables(connection)
    for table, types in kind.links.items():
        if table in there:
            if table == "inputs":
                yield (
                    f"DELETE FROM input_tags WHERE input_uuid IN (SELECT input_uuid FROM inputs WHERE {_LINKED})",
                    {"types": list(types)},
                )
            yield f"DELETE FROM {table} WHERE {_LINKED}", {"types": list(types)}
    children = connection.execute(_CHILDREN.encode(), (f"public.{kind.table}",)).fetchall()
    beside = [(table, kind.key) for table in kind.tables if table in there]
    for table, column in [*children, *beside, (kind.table, kind.key)]:
        yield f"DELETE FROM {quoted(table)} WHERE {quoted(column)} = %(id)s", {}


def remove(connection: Connection, how: Removal, before: int, thing: Thing, store: Path) -> str | None:
    """Remove one thing; what to say of it, or None when it is not due any more."""
    kind = how.kind
    with connection.transaction():
        if not still_due(connection, kind, before, thing):
            return None
        for statement, parameters in how.statements:
            connection.execute(statement.encode(), {**parameters, "id": thing.id})
        # In the transaction: what a foreign key refuses keeps its files, and who would restore it waits, and finds it
        # gone. Killed in here, it is still due, and its rest goes with the next round.
        if kind.name == "experiment":
            if folder := thing.address and files.folder_of(store, thing.address):
                files.remove_empty(folder / "models", folder / "traces", folder)
            return "removed"
        removed = files.remove(store, thing.address, thing.id, kind.folder)
    said = f"removed, with {removed.files} files of {removed.size} bytes"
    return f"{said}; {removed.left}" if removed.left else said

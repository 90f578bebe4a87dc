"""Removes one item: deletes its rows, removes its files, then commits. If anything fails, all of its rows stay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..migration.connections import tables
from ..migration.grants import quoted
from . import files
from .due import Connection, Kind, Thing, still_due

# Without the foreign keys that cascade or are set to NULL: PostgreSQL follows those by itself.
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
    """The statements that delete an item of a kind. They fit the schema that the database has."""

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
    """Remove one item. Returns a message for the log, or None if the item is not due any more."""
    kind = how.kind
    with connection.transaction():
        if not still_due(connection, kind, before, thing):
            return None
        for statement, parameters in how.statements:
            connection.execute(statement.encode(), {**parameters, "id": thing.id})
        # Inside the transaction. If a foreign key refuses the deletion, the files stay. A client that restores the item
        # waits for the row lock, and then does not find it. After a kill the item is still due: the next round removes
        # what is left.
        if kind.name == "experiment":
            if folder := thing.address and files.folder_of(store, thing.address):
                files.remove_empty(folder / "models", folder / "traces", folder)
            return "removed"
        removed = files.remove(store, thing.address, thing.id, kind.folder)
    said = f"removed, with {removed.files} files of {removed.size} bytes"
    return f"{said}; {removed.left}" if removed.left else said

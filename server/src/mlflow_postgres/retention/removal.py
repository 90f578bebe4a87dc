"""Removes one item: deletes its rows, removes its files, then commits. If anything fails, all of its rows stay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..migration.connections import tables
from ..migration.grants import quoted
from . import files
from .items import Connection, Item, Kind, still_due

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


def plan_removal(connection: Connection, kind: Kind) -> Removal:
    return Removal(kind, tuple(_statements(connection, kind)))


def _statements(connection: Connection, kind: Kind) -> Iterator[tuple[str, dict[str, list[str]]]]:
    present = tables(connection)
    for table, types in kind.links.items():
        if table in present:
            if table == "inputs":
                yield (
                    f"DELETE FROM input_tags WHERE input_uuid IN (SELECT input_uuid FROM inputs WHERE {_LINKED})",
                    {"types": list(types)},
                )
            yield f"DELETE FROM {table} WHERE {_LINKED}", {"types": list(types)}
    children = connection.execute(_CHILDREN.encode(), (f"public.{kind.table}",)).fetchall()
    unlinked = [(table, kind.key) for table in kind.tables if table in present]
    for table, column in [*children, *unlinked, (kind.table, kind.key)]:
        yield f"DELETE FROM {quoted(table)} WHERE {quoted(column)} = %(id)s", {}


def remove(connection: Connection, plan: Removal, before: int, item: Item, store: Path) -> str | None:
    """Remove one item. Returns a message for the log, or None if the item is not due any more."""
    kind = plan.kind
    with connection.transaction():
        if not still_due(connection, kind, before, item):
            return None
        for statement, parameters in plan.statements:
            connection.execute(statement.encode(), {**parameters, "id": item.id})
        # Inside the transaction. If a foreign key refuses the deletion, the files stay. A client that restores the item
        # waits for the row lock, and then does not find it. After a kill the item is still due: the next round removes
        # what is left.
        if kind.name == "experiment":
            if folder := item.address and files.folder_of(store, item.address):
                files.remove_empty(folder / "models", folder / "traces", folder)
            return "removed"
        removed = files.remove(store, item.address, item.id, kind.folder)
    message = f"removed, with {removed.files} files of {removed.size} bytes"
    return f"{message}; {removed.kept_because}" if removed.kept_because else message

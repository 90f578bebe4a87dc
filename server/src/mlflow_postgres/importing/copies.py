"""Deletes and renames rows of the copy: those that are not imported, and those whose parent is missing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from . import links, permissions
from .sources import quoted
from .tables import EXPERIMENT, MODEL, Reference, Table

EXCLUDED = {
    "jobs": "they are background jobs of the old server",
    "job_locks": "they are background jobs of the old server",
    "scheduler_leases": "they are background jobs of the old server",
    "webhooks": "their secrets are encrypted with a key of the old server: create them again",
    "webhook_events": "they belong to the webhooks",
    "secrets": "they are encrypted with a key of the old server: enter the keys of the models again",
}
"""Tables that are not imported, and the reasons."""


def empty_excluded_tables(copy: sqlite3.Connection, tables: Sequence[Table]) -> list[str]:
    """Empty the tables that are not imported. Returns messages with the numbers of rows."""
    messages = []
    for table in reversed(tables):
        if why := EXCLUDED.get(table.name):
            found = copy.execute(f"DELETE FROM {quoted(table.name)}").rowcount
            if found:
                messages.append(f"{found:,} of {table.name} not imported: {why}")
    copy.commit()
    return messages


def delete_orphans(copy: sqlite3.Connection, tables: Sequence[Table]) -> list[str]:
    """Delete rows whose parent row is missing: PostgreSQL would reject them. Returns messages with the numbers."""
    messages = []
    for table in tables:
        for reference in table.references:
            if reference.parent not in {each.name for each in tables}:
                continue
            if found := copy.execute(_orphans(table, reference)).rowcount:
                what = "changed: they refer to a missing" if reference.optional else "not imported: they have no"
                messages.append(f"{found:,} of {table.name} {what} row of {reference.parent}")
    messages += links.delete_orphans(copy, tables)
    copy.commit()
    return messages


def _orphans(table: Table, reference: Reference) -> str:
    set_ = " AND ".join(f"{quoted(each)} IS NOT NULL" for each in reference.columns)
    same = " AND ".join(
        f"parent.{quoted(theirs)} = {quoted(table.name)}.{quoted(ours)}"
        for ours, theirs in zip(reference.columns, reference.parent_columns, strict=True)
    )
    lost = f"{set_} AND NOT EXISTS (SELECT 1 FROM {quoted(reference.parent)} AS parent WHERE {same})"
    if reference.optional:
        empty = ", ".join(f"{quoted(each)} = NULL" for each in reference.columns)
        return f"UPDATE {quoted(table.name)} SET {empty} WHERE {lost}"
    return f"DELETE FROM {quoted(table.name)} WHERE {lost}"


def delete(
    copy: sqlite3.Connection, tables: Sequence[Table], experiments: Iterable[int], models: Iterable[tuple[str, str]]
) -> None:
    """Delete experiments by id, and models by workspace and name, with everything that belongs to them."""
    linked = [(table, column) for table, column in links.LINKED if any(each.name == table for each in tables)]
    copy.execute("CREATE TEMP TABLE gone (id TEXT PRIMARY KEY) WITHOUT ROWID")
    for table, column in linked:
        copy.execute(f"INSERT OR IGNORE INTO gone SELECT {column} FROM {table}")
    copy.executemany("DELETE FROM experiments WHERE experiment_id = ?", [(each,) for each in experiments])
    copy.executemany("DELETE FROM registered_models WHERE workspace = ? AND name = ?", models)
    delete_orphans(copy, tables)
    for table, column in linked:
        copy.execute(f"DELETE FROM gone WHERE id IN (SELECT {column} FROM {table})")
    for table in links.LINKS:
        if any(each.name == table for each in tables):
            gone = "IN (SELECT id FROM gone)"
            copy.execute(f"DELETE FROM {table} WHERE source_id {gone} OR destination_id {gone}")
    delete_orphans(copy, tables)
    copy.execute("DROP TABLE gone")
    copy.commit()


def delete_keys(copy: sqlite3.Connection, table: Table, keys: Iterable[Sequence[object]]) -> int:
    """Delete rows of a table by their keys. Returns their number."""
    where = " AND ".join(f"{quoted(each)} = ?" for each in table.key)
    found = copy.executemany(f"DELETE FROM {quoted(table.name)} WHERE {where}", keys).rowcount
    copy.commit()
    return max(found, 0)


def rename(
    copy: sqlite3.Connection,
    tables: Sequence[Table],
    experiments: Iterable[tuple[int, str]],
    models: Sequence[tuple[str, str, str]],
) -> list[str]:
    """Rename experiments, by id, and models, by workspace and name, wherever the copy names them.

    Returns messages about rows that name a model and had to be deleted.
    """
    copy.executemany(
        "UPDATE experiments SET name = ? WHERE experiment_id = ?", [(name, number) for number, name in experiments]
    )
    named = [(table.name, table.names[index]) for table in tables for index in table.indexes(MODEL)]
    for workspace, old, new in models:
        for table, column in named:
            copy.execute(
                f"UPDATE {quoted(table)} SET {quoted(column)} = ? WHERE {quoted(column)} = ? AND workspace = ?",
                (new, old, workspace),
            )
        address = f"models:/{old}/"
        copy.execute(
            "UPDATE model_versions SET source = ? || substr(source, ?) WHERE substr(source, 1, ?) = ?",
            (f"models:/{new}/", len(address) + 1, len(address), address),
        )
    if any(table.name == permissions.TABLE for table in tables):
        permissions.rename_models(copy, models)
    messages = links.rename_prompts(copy, tables, {(workspace, old): new for workspace, old, new in models})
    copy.commit()
    return messages


def in_use(copy: sqlite3.Connection, tables: Sequence[Table], experiment: int) -> bool:
    """Whether an experiment has any rows."""
    for table in tables:
        for index in table.indexes(EXPERIMENT):
            if table.name != EXPERIMENT[0]:
                query = f"SELECT 1 FROM {quoted(table.name)} WHERE {quoted(table.names[index])} = ? LIMIT 1"
                if copy.execute(query, (experiment,)).fetchone():
                    return True
    return links.names_experiment(copy, tables, experiment)


def may_have_artifacts(copy: sqlite3.Connection, experiment: int) -> bool:
    """Whether an experiment has runs, traces or models, which may have artifacts."""
    return any(
        copy.execute(f"SELECT 1 FROM {table} WHERE experiment_id = ? LIMIT 1", (experiment,)).fetchone()
        for table in ("runs", "trace_info", "logged_models")
    )


def counts(copy: sqlite3.Connection, tables: Sequence[Table]) -> dict[str, int]:
    """The number of rows of every table of the copy."""
    return {table.name: copy.execute(f"SELECT count(*) FROM {quoted(table.name)}").fetchone()[0] for table in tables}

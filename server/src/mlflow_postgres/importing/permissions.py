"""Permissions of roles. A permission refers to its resource by type and id or name, without a foreign key."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping

TABLE = "role_permissions"
EVERYTHING = "*"
_EXPERIMENT, _SCORER = "experiment", "scorer"

# Queries for the existing ids, by resource type.
_THERE = {
    _EXPERIMENT: "SELECT CAST(experiment_id AS TEXT) FROM experiments",
    "gateway_secret": "SELECT secret_id FROM secrets",
    "gateway_endpoint": "SELECT endpoint_id FROM endpoints",
    "gateway_model_definition": "SELECT model_definition_id FROM model_definitions",
}
_NAMED = {"registered_model": "registered_models", "prompt": "registered_models", "mcp_server": "mcp_servers"}


def delete_orphans(copy: sqlite3.Connection) -> list[str]:
    """Delete permissions on resources that are not imported: here they could apply to other ones. Returns messages."""
    lost = 0
    tables = {name for (name,) in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    for kind, there in _THERE.items():
        if there.rpartition(" ")[2] not in tables:
            continue
        where = f"resource_type = ? AND resource_pattern <> ? AND resource_pattern NOT IN ({there})"
        lost += copy.execute(f"DELETE FROM {TABLE} WHERE {where}", (kind, EVERYTHING)).rowcount
    for kind, table in _NAMED.items():
        if table not in tables:
            continue
        named = f"roles.id = role_id AND {table}.name = resource_pattern"
        same = f"SELECT 1 FROM {table} JOIN roles USING (workspace) WHERE {named}"
        where = f"resource_type = ? AND resource_pattern <> ? AND NOT EXISTS ({same})"
        lost += copy.execute(f"DELETE FROM {TABLE} WHERE {where}", (kind, EVERYTHING)).rowcount
    # "experiment/name"
    where = f"substr(resource_pattern, 1, instr(resource_pattern, '/') - 1) NOT IN ({_THERE[_EXPERIMENT]})"
    delete = f"DELETE FROM {TABLE} WHERE resource_type = ? AND resource_pattern <> ? AND {where}"
    lost += copy.execute(delete, (_SCORER, EVERYTHING)).rowcount
    copy.commit()
    return [f"{lost:,} of {TABLE} not imported: their resources are not imported"] if lost else []


def wildcard_notes(copy: sqlite3.Connection) -> list[str]:
    """Messages about permissions on all resources of a type: here they include existing ones."""
    query = f"SELECT count(*) FROM {TABLE} WHERE resource_pattern = ?"
    (found,) = copy.execute(query, (EVERYTHING,)).fetchone()
    return [f"{found:,} of {TABLE} apply to all resources of a type, also to existing ones"] if found else []


def rename_models(copy: sqlite3.Connection, models: Iterable[tuple[str, str, str]]) -> None:
    """Use the new names of registered models in permissions. `models` has workspace, old name and new name."""
    copy.executemany(
        f"UPDATE {TABLE} SET resource_pattern = ? WHERE resource_type IN ('registered_model', 'prompt')"
        " AND resource_pattern = ? AND role_id IN (SELECT id FROM roles WHERE workspace = ?)",
        [(new, old, workspace) for workspace, old, new in models],
    )
    copy.commit()


def renumbered(kind: str, pattern: str, experiments: Mapping[int, int]) -> str:
    """The resource pattern of a permission, with the new id of its experiment."""
    if pattern == EVERYTHING or kind not in (_EXPERIMENT, _SCORER):
        return pattern
    number, slash, rest = pattern.partition("/")
    return f"{experiments[int(number)]}{slash}{rest}"

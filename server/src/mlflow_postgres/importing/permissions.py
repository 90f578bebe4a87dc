"""What a role may do to something, which it names by its kind and its id or name, and by no foreign key."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping

TABLE = "role_permissions"
EVERYTHING = "*"
_EXPERIMENT, _SCORER = "experiment", "scorer"

# By the kind, what is there of it: ids or names, those in a workspace with that.
_THERE = {
    _EXPERIMENT: "SELECT CAST(experiment_id AS TEXT) FROM experiments",
    "gateway_secret": "SELECT secret_id FROM secrets",
    "gateway_endpoint": "SELECT endpoint_id FROM endpoints",
    "gateway_model_definition": "SELECT model_definition_id FROM model_definitions",
}
_NAMED = {"registered_model": "registered_models", "prompt": "registered_models", "mcp_server": "mcp_servers"}


def take_out_lost(copy: sqlite3.Connection) -> list[str]:
    """Take out permissions on what does not come along: here they would be on something else of that name; in words."""
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
    order = f"DELETE FROM {TABLE} WHERE resource_type = ? AND resource_pattern <> ? AND {where}"
    lost += copy.execute(order, (_SCORER, EVERYTHING)).rowcount
    copy.commit()
    return [f"{lost:,} of {TABLE} stay behind: what they are about does not come along"] if lost else []


def on_everything(copy: sqlite3.Connection) -> list[str]:
    """Permissions that are wider here when there is something already, in words."""
    query = f"SELECT count(*) FROM {TABLE} WHERE resource_pattern = ?"
    (found,) = copy.execute(query, (EVERYTHING,)).fetchone()
    return [f"{found:,} of {TABLE} are about all there is of a kind: what was here before, too"] if found else []


def rename_models(copy: sqlite3.Connection, models: Iterable[tuple[str, str, str]]) -> None:
    """Let permissions name registered models, by workspace and old name, as they are called now."""
    copy.executemany(
        f"UPDATE {TABLE} SET resource_pattern = ? WHERE resource_type IN ('registered_model', 'prompt')"
        " AND resource_pattern = ? AND role_id IN (SELECT id FROM roles WHERE workspace = ?)",
        [(new, old, workspace) for workspace, old, new in models],
    )
    copy.commit()


def renumbered(kind: str, pattern: str, experiments: Mapping[int, int]) -> str:
    """What a permission is about, with its experiment's id here."""
    if pattern == EVERYTHING or kind not in (_EXPERIMENT, _SCORER):
        return pattern
    number, slash, rest = pattern.partition("/")
    return f"{experiments[int(number)]}{slash}{rest}"

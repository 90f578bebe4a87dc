"""References to rows without a foreign key: by type and id, or in the value of a tag."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence

from .tables import Cell, Table

ASSOCIATIONS = "entity_associations"
EXPERIMENT_TYPE = "experiment"
ENDS = ("source", "destination")
"""The two ends of an association. Each has a type and an id. The id of an experiment is its number as text."""

LINKED: tuple[Cell, ...] = (
    ("runs", "run_uuid"),
    ("datasets", "dataset_uuid"),
    ("logged_models", "model_id"),
    ("trace_info", "request_id"),
)
"""The other columns that are referred to like this. These ids are globally unique."""

LINKS = ("inputs", ASSOCIATIONS)

PROMPT_TYPE = "prompt_version"
PROMPTS_TAG = "mlflow.linkedPrompts"

# Tables of tags with the columns of key, value and owner, and the owner's table.
_TAGS = (
    ("tags", "key", "value", "run_uuid", "runs"),
    ("trace_tags", "key", "value", "request_id", "trace_info"),
    ("logged_model_tags", "tag_key", "tag_value", "model_id", "logged_models"),
)

Names = Mapping[tuple[str, str], str]
"""The new names of registered models, by workspace and old name. A prompt is a registered model."""


def delete_orphans(copy: sqlite3.Connection, tables: Sequence[Table]) -> list[str]:
    """Delete associations with experiments that are not imported. Returns messages with their number."""
    if not _has(tables, ASSOCIATIONS):
        return []
    lost = " OR ".join(
        f"({end}_type = '{EXPERIMENT_TYPE}' AND {end}_id NOT IN (SELECT CAST(experiment_id AS TEXT) FROM experiments))"
        for end in ENDS
    )
    found = copy.execute(f"DELETE FROM {ASSOCIATIONS} WHERE {lost}").rowcount
    messages = [f"{found:,} of {ASSOCIATIONS} not imported: they have no row of experiments"] if found else []
    return messages + _delete_too_long(copy, next(each for each in tables if each.name == ASSOCIATIONS))


def _delete_too_long(copy: sqlite3.Connection, table: Table) -> list[str]:
    """Delete associations with values that are too long. SQLite does not check lengths. `mlflow demo` creates some."""
    long = " OR ".join(f"length({column.name}) > {column.length}" for column in table.columns if column.length)
    found = copy.execute(f"DELETE FROM {ASSOCIATIONS} WHERE {long}").rowcount if long else 0
    text = f"{found:,} of {ASSOCIATIONS} not imported: the name of their prompt is too long for PostgreSQL's column"
    return [text] if found else []


def names_experiment(copy: sqlite3.Connection, tables: Sequence[Table], experiment: int) -> bool:
    """Whether an association names an experiment."""
    if not _has(tables, ASSOCIATIONS):
        return False
    either = " OR ".join(f"({end}_type = ? AND {end}_id = ?)" for end in ENDS)
    values = (EXPERIMENT_TYPE, str(experiment)) * len(ENDS)
    return copy.execute(f"SELECT 1 FROM {ASSOCIATIONS} WHERE {either} LIMIT 1", values).fetchone() is not None


def with_experiment(table: Table, key: Sequence[object]) -> bool:
    """Whether it is the key of an association with an experiment, whose id is another experiment's here."""
    return table.name == ASSOCIATIONS and EXPERIMENT_TYPE in (key[table.key.index(f"{end}_type")] for end in ENDS)


def rename_prompts(copy: sqlite3.Connection, tables: Sequence[Table], names: Names) -> list[str]:
    """Use the new names of prompts in all references. Returns messages about references that had to be deleted."""
    if not names:
        return []
    for table, key, value, owner, owners in _TAGS:
        if _has(tables, table):
            rows = copy.execute(
                f"SELECT {table}.rowid, workspace, {value} FROM {table} JOIN {owners} USING ({owner})"
                f" JOIN experiments ON experiments.experiment_id = {owners}.experiment_id WHERE {key} = ?",
                (PROMPTS_TAG,),
            ).fetchall()
            copy.executemany(
                f"UPDATE {table} SET {value} = ? WHERE rowid = ?",
                [(renamed_prompts(text, workspace, names), row) for row, workspace, text in rows],
            )
    if _has(tables, "spans"):
        _rename_in_spans(copy, names)
    return _rename_associations(copy, tables, names)


def _rename_in_spans(copy: sqlite3.Connection, names: Names) -> None:
    rows = copy.execute(
        "SELECT spans.rowid, workspace, content FROM spans JOIN experiments USING (experiment_id)"
        " WHERE instr(content, ?) > 0",
        (PROMPTS_TAG,),
    ).fetchall()
    changed = [(renamed_in_span(content, workspace, names), content, row) for row, workspace, content in rows]
    copy.executemany(
        "UPDATE spans SET content = ? WHERE rowid = ?", [(new, row) for new, old, row in changed if new != old]
    )


def _rename_associations(copy: sqlite3.Connection, tables: Sequence[Table], names: Names) -> list[str]:
    if not _has(tables, ASSOCIATIONS):
        return []
    table = next(each for each in tables if each.name == ASSOCIATIONS)
    room = next(column.length for column in table.columns if column.name == "destination_id")
    rows = copy.execute(
        f"SELECT {ASSOCIATIONS}.rowid, workspace, destination_id FROM {ASSOCIATIONS}"
        " JOIN trace_info ON request_id = source_id JOIN experiments USING (experiment_id)"
        " WHERE source_type = 'trace' AND destination_type = ?",
        (PROMPT_TYPE,),
    ).fetchall()
    lost = 0
    for row, workspace, old in rows:
        name, _, version = old.rpartition("/")
        if (new := names.get((workspace, name))) is None:
            continue
        if room is not None and len(f"{new}/{version}") > room:
            lost += copy.execute(f"DELETE FROM {ASSOCIATIONS} WHERE rowid = ?", (row,)).rowcount
        else:
            copy.execute(f"UPDATE {ASSOCIATIONS} SET destination_id = ? WHERE rowid = ?", (f"{new}/{version}", row))
    text = f"{lost:,} of {ASSOCIATIONS} not imported: the new name of their prompt is too long"
    return [text] if lost else []


def renamed_prompts(text: str, workspace: str, names: Names) -> str:
    """The value of a tag that lists prompts, with their new names. Any other value is unchanged."""
    try:
        prompts = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return text
    if not isinstance(prompts, list):
        return text
    changed = [_renamed(each, workspace, names) for each in prompts]
    return text if changed == prompts else json.dumps(changed)


def renamed_in_span(content: str, workspace: str, names: Names) -> str:
    """A span's JSON with the new names of its prompts. Unchanged if it has none."""
    try:
        span = json.loads(content)
        listed = span["attributes"][PROMPTS_TAG]
        # An attribute is a string with JSON: a list, or another string with JSON.
        value = json.loads(listed)
    except (TypeError, ValueError, KeyError, RecursionError):
        return content
    in_a_text = isinstance(value, str)
    old = value if in_a_text else listed
    new = renamed_prompts(old, workspace, names)
    if new == old:
        return content
    span["attributes"][PROMPTS_TAG] = json.dumps(new) if in_a_text else new
    try:
        return json.dumps(span, ensure_ascii=False).encode().decode()
    except UnicodeEncodeError:
        # A lone surrogate can only be written as an escape.
        return json.dumps(span)


def _renamed(prompt: object, workspace: str, names: Names) -> object:
    if not isinstance(prompt, dict) or not isinstance(name := prompt.get("name"), str):
        return prompt
    return {**prompt, "name": names.get((workspace, name), name)}


def _has(tables: Sequence[Table], name: str) -> bool:
    return any(each.name == name for each in tables)

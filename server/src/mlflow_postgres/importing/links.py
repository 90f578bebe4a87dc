"""What names another row by its kind and id, or in the text of a tag, and by no foreign key."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence

from .tables import Cell, Table

ASSOCIATIONS = "entity_associations"
EXPERIMENT_TYPE = "experiment"
ENDS = ("source", "destination")
"""Each of an association has a type and an id. That of an experiment is its number, as a text."""

LINKED: tuple[Cell, ...] = (
    ("runs", "run_uuid"),
    ("datasets", "dataset_uuid"),
    ("logged_models", "model_id"),
    ("trace_info", "request_id"),
)
"""What else is named so; ids of these are nobody else's."""

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
"""By workspace and old name, the new name of a model; a prompt is one."""


def take_out_lost(copy: sqlite3.Connection, tables: Sequence[Table]) -> list[str]:
    """Take out associations with an experiment that does not come along; how many, in words."""
    if not _has(tables, ASSOCIATIONS):
        return []
    lost = " OR ".join(
        f"({end}_type = '{EXPERIMENT_TYPE}' AND {end}_id NOT IN (SELECT CAST(experiment_id AS TEXT) FROM experiments))"
        for end in ENDS
    )
    found = copy.execute(f"DELETE FROM {ASSOCIATIONS} WHERE {lost}").rowcount
    said = [f"{found:,} of {ASSOCIATIONS} belong to nothing in experiments"] if found else []
    return said + _take_out_too_long(copy, next(each for each in tables if each.name == ASSOCIATIONS))


def _take_out_too_long(copy: sqlite3.Connection, table: Table) -> list[str]:
    """SQLite does not look at lengths; in PostgreSQL, MLflow itself cannot make such a link: `mlflow demo` has some."""
    long = " OR ".join(f"length({column.name}) > {column.length}" for column in table.columns if column.length)
    found = copy.execute(f"DELETE FROM {ASSOCIATIONS} WHERE {long}").rowcount if long else 0
    text = f"{found:,} of {ASSOCIATIONS} stay behind: MLflow has no room for the name of their prompt in PostgreSQL"
    return [text] if found else []


def names_experiment(copy: sqlite3.Connection, tables: Sequence[Table], experiment: int) -> bool:
    """Whether an association names an experiment."""
    if not _has(tables, ASSOCIATIONS):
        return False
    either = " OR ".join(f"({end}_type = ? AND {end}_id = ?)" for end in ENDS)
    values = (EXPERIMENT_TYPE, str(experiment)) * len(ENDS)
    return copy.execute(f"SELECT 1 FROM {ASSOCIATIONS} WHERE {either} LIMIT 1", values).fetchone() is not None


def with_experiment(table: Table, key: Sequence[object]) -> bool:
    """Whether it is the key of an association with an experiment: its number is another one's here."""
    return table.name == ASSOCIATIONS and EXPERIMENT_TYPE in (key[table.key.index(f"{end}_type")] for end in ENDS)


def rename_prompts(copy: sqlite3.Connection, tables: Sequence[Table], names: Names) -> list[str]:
    """Let links to prompts name them as they are called now; what could not be kept, in words."""
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
    text = f"{lost:,} of {ASSOCIATIONS} stay behind: MLflow has no room for the new name of their prompt"
    return [text] if lost else []


def renamed_prompts(text: str, workspace: str, names: Names) -> str:
    """The value of a tag that lists prompts, with their new names; as it is, when it is no such list."""
    try:
        prompts = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return text
    if not isinstance(prompts, list):
        return text
    changed = [_renamed(each, workspace, names) for each in prompts]
    return text if changed == prompts else json.dumps(changed)


def renamed_in_span(content: str, workspace: str, names: Names) -> str:
    """A span's JSON with the new names of the prompts that its attribute lists; as it is, when it has none."""
    try:
        span = json.loads(content)
        listed = span["attributes"][PROMPTS_TAG]
        # An attribute is JSON in a text: a list, or a text that is JSON once more.
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
        # Half of a character can only be kept as it was written.
        return json.dumps(span)


def _renamed(prompt: object, workspace: str, names: Names) -> object:
    if not isinstance(prompt, dict) or not isinstance(name := prompt.get("name"), str):
        return prompt
    return {**prompt, "name": names.get((workspace, name), name)}


def _has(tables: Sequence[Table], name: str) -> bool:
    return any(each.name == name for each in tables)

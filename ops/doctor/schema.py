"""Checks that the database has the tables and the indexes that the image's MLflow requires."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from contract import roles
from contract import schema as requirements
from contract.schema import Requirements

from .check import Verdict, broken, ok, warning
from .subject import Subject

_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
_INDEXES = """
SELECT relname AS name, indisvalid AS valid, obj_description(pg_class.oid, 'pg_class') AS made_as
  FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
 WHERE relnamespace = 'public'::regnamespace AND starts_with(relname::text, 'mlflow_postgres_')
"""


def revisions(subject: Subject) -> Verdict:
    """Each set of MLflow's tables is at the newest revision that its image knows."""
    wanted = required(subject)
    tables = _tables(subject)
    outdated = []
    for record, head in wanted.revisions.items():
        found = subject.query(f'SELECT version_num FROM public."{record}"').split() if record in tables else []
        if found != [head]:
            outdated.append(f"{record} has {', '.join(found) or 'nothing'}, MLflow {wanted.mlflow} needs {head}")
    if outdated:
        return broken("; ".join(outdated), subject.recreate(roles.SCHEMA))
    return ok(f"at {', '.join(wanted.revisions.values())}, which MLflow {wanted.mlflow} needs")


def indexes(subject: Subject) -> Verdict:
    """The indexes that make searches fast exist, are valid, and have their current definition."""
    tables = _tables(subject)
    definitions = {name: each.made_as for name, each in required(subject).indexes.items() if each.table in tables}
    if problems := compare(definitions, subject.rows(_INDEXES)):
        return warning(f"{'; '.join(problems)}: searches are slow without it", subject.recreate(roles.SCHEMA))
    return ok(f"all {len(definitions)} exist")


def compare(definitions: Mapping[str, str], found: Sequence[Mapping[str, Any]]) -> list[str]:
    """The problems of the indexes in the database. `definitions` has the required ones, by name."""
    existing = {index["name"]: index for index in found}
    problems = []
    for name, made_as in definitions.items():
        if name not in existing:
            problems.append(f"{name} is missing")
        elif not existing[name]["valid"]:
            problems.append(f"{name} is invalid")
        elif existing[name]["made_as"] != made_as:
            problems.append(f"{name} has another definition")
    return problems


def required(subject: Subject) -> Requirements:
    """The requirements of the image, which only the image knows."""
    # A long timeout: Python starts slowly while an import uses the processors.
    command = ("schema-requirements",)
    return requirements.parse(subject.execute(roles.MLFLOW, *command, timeout=30))


def _tables(subject: Subject) -> set[str]:
    return {row["tablename"] for row in subject.rows(_TABLES)}

"""The revision that the database has, the head revision of this MLflow, and what must be migrated."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from ..errors import Failed, Refused
from .connections import tables

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

MAIN_SCRIPTS = "store/db_migrations"
# The folders of MLflow's migrations of its two sets of tables, by the version table of each.
MIGRATIONS = {"alembic_version": MAIN_SCRIPTS, "alembic_version_auth": "server/auth/db/migrations"}

MAIN_TABLES = frozenset({"experiments", "runs", "metrics", "params", "tags"})
SIGN_IN_TABLES = frozenset({"users"})

# Migration scripts use a table's name, or the class of MLflow's model.
CLASSES = {
    "runs": "SqlRun",
    "latest_metrics": "SqlLatestMetric",
    "params": "SqlParam",
    "tags": "SqlTag",
    "trace_tags": "SqlTraceTag",
    "trace_request_metadata": "SqlTraceMetadata",
    "model_versions": "SqlModelVersion",
}


class Due(Enum):
    """What must be done with a set of tables."""

    CREATE = "create"
    NOTHING = "nothing"
    MIGRATE = "migrate"


@dataclass(frozen=True, kw_only=True)
class TableSet:
    """One of the two sets of tables that MLflow migrates separately."""

    name: str
    current: str | None
    """The revision in the database; None without tables, or for tables from before MLflow had revisions."""

    head: str
    due: Due
    pending: tuple[Path, ...]
    """MLflow's migration scripts between the two revisions."""


def decide(*, current: str | None, head: str, found: Set[str], expected: Set[str]) -> Due:
    """What is due, for a revision that this MLflow knows."""
    if current is not None:
        return Due.NOTHING if current == head else Due.MIGRATE
    # MLflow creates its first tables and records its first revision in two steps.
    return Due.MIGRATE if expected <= found else Due.CREATE


def known_revisions(version_table: str = "alembic_version") -> tuple[set[str], str]:
    """The revisions of a version table that this MLflow knows, and the newest of them."""
    scripts, head = _scripts(MIGRATIONS[version_table])
    return {script.revision for script in scripts.walk_revisions()}, head


def unknown_revision(revision: str, mlflow_version: str, recorded: str | None) -> Refused:
    """The error for a schema of a newer MLflow."""
    other = recorded or "and the one that ran before"
    return Refused(
        "schema-unknown",
        f"the database has the schema {revision}, which MLflow {mlflow_version} does not know: a newer MLflow or "
        "another program made it",
        remedy=f"bin/pulumi config set mlflowVersion {other}, or make rollback",
    )


def foreign_table(found: Set[str]) -> str | None:
    """A table of another program in a database without MLflow's tables; None if there is none.

    MLflow would fail to create its tables in such a database.
    """
    foreign = sorted(name for name in found - SIGN_IN_TABLES if not name.startswith("alembic_"))
    return None if not foreign or found >= MAIN_TABLES else foreign[0]


def table_sets(
    connection: psycopg.Connection, *, sign_in: bool, mlflow_version: str, recorded: str | None
) -> list[TableSet]:
    """Every set of tables, with what is due. Raises `Refused` for tables that this MLflow cannot use."""
    found = tables(connection)
    if foreign_name := foreign_table(found):
        raise Refused(
            "database-of-another-program",
            f"the database holds tables of another program, such as {foreign_name}",
            remedy="bin/pulumi config set postgresDatabase, and the name of a database for MLflow alone",
        )
    sets = [("main", "alembic_version", MAIN_TABLES)]
    if sign_in:
        sets.append(("sign-in", "alembic_version_auth", SIGN_IN_TABLES))
    result = []
    for name, version_table, expected in sets:
        scripts, head = _scripts(MIGRATIONS[version_table])
        revisions = {script.revision for script in scripts.walk_revisions()}
        current = _revision(connection, version_table, found)
        if current is not None and current not in revisions:
            raise unknown_revision(current, mlflow_version, recorded)
        due = decide(current=current, head=head, found=found, expected=expected)
        scripts_between = scripts.iterate_revisions(head, current) if due is Due.MIGRATE else ()
        pending = tuple(Path(script.path) for script in scripts_between)
        result.append(TableSet(name=name, current=current, head=head, due=due, pending=pending))
    return result


def named_tables(pending: Iterable[Path], among: Iterable[str]) -> set[str]:
    """The tables that scripts may change: every table that a script names, alone or in SQL."""
    words = "\n".join(word for script in pending for word in _names(ast.parse(script.read_bytes())))
    # A name such as "runs.run_uuid" is the target of a foreign key. That table is not changed.
    return {table for table in among if re.search(rf"\b({table}(?!\.)|{CLASSES[table]})\b", words)}


def _names(script: ast.Module) -> Iterator[str]:
    """String constants and imported names. Not docstrings, where words such as 'runs' are no tables."""
    docstrings = {id(node.value) for node in ast.walk(script) if isinstance(node, ast.Expr)}
    for node in ast.walk(script):
        match node:
            case ast.Constant(value=str(text)) if id(node) not in docstrings:
                yield text
            case ast.alias(name=name) | ast.Attribute(attr=name):
                yield name


def _revision(connection: psycopg.Connection, version_table: str, found: Set[str]) -> str | None:
    if version_table not in found:
        return None
    query = psycopg.sql.SQL("SELECT version_num FROM public.{}").format(psycopg.sql.Identifier(version_table))
    rows = connection.execute(query).fetchall()
    if len(rows) > 1:
        raise Failed(
            "schema-revisions-many",
            f"{version_table} holds {len(rows)} revisions",
            rule="it must hold one",
            remedy="make rollback",
        )
    return str(rows[0][0]) if rows else None


def _scripts(folder: str) -> tuple[ScriptDirectory, str]:
    """MLflow's migrations of a set of tables, as Alembic's `ScriptDirectory`, and the head revision."""
    # Not at the top: most commands of the schema job need neither.
    import mlflow
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(Path(mlflow.__file__).parent / folder))
    head = scripts.get_current_head()
    if head is None:
        raise Failed("migrations-missing", f"MLflow has no migrations in {folder}")
    return scripts, head

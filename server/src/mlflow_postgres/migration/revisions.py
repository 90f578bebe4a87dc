"""Which schema the database has, which one this MLflow wants, and what follows from the two."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from .connections import tables
from .job import Failed, Refused

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

MAIN_SCRIPTS = "store/db_migrations"
# MLflow's migrations of each of its two sets of tables, by the table that says how far they have come.
MIGRATIONS = {"alembic_version": MAIN_SCRIPTS, "alembic_version_auth": "server/auth/db/migrations"}

MAIN_TABLES = frozenset({"experiments", "runs", "metrics", "params", "tags"})
SIGN_IN_TABLES = frozenset({"users"})

# A script names a table, or the class that MLflow's store has for it.
CLASSES = {
    "runs": "SqlRun",
    "latest_metrics": "SqlLatestMetric",
    "params": "SqlParam",
    "tags": "SqlTag",
    "trace_tags": "SqlTraceTag",
    "trace_request_metadata": "SqlTraceMetadata",
}


class Due(Enum):
    """What a set of tables needs."""

    MAKE = "make"
    NOTHING = "nothing"
    MIGRATE = "migrate"


@dataclass(frozen=True, kw_only=True)
class Part:
    """One of the two sets of tables that MLflow migrates by itself."""

    name: str
    current: str | None
    """Revision in the database; None when there is none, or the tables are older than revisions."""

    head: str
    due: Due
    pending: tuple[Path, ...]
    """MLflow's scripts between the two, if it is to be migrated."""


def decide(*, current: str | None, head: str, known: Set[str], found: Set[str], expected: Set[str]) -> Due:
    """What is due; Refused for a revision that this MLflow does not know, and for a stranger's tables."""
    if current == head:
        return Due.NOTHING
    if current is not None:
        if current not in known:
            raise Refused(current)
        return Due.MIGRATE
    # MLflow itself makes its first tables and its first revision in two steps.
    return Due.MIGRATE if expected <= found else Due.MAKE


def known(version_table: str = "alembic_version") -> tuple[set[str], str]:
    """The revisions of the main tables, or of the others, that this MLflow knows, and the newest."""
    scripts, head = _scripts(MIGRATIONS[version_table])
    return {script.revision for script in scripts.walk_revisions()}, head


def unknown(revision: str, mlflow_version: str, remembered: str | None) -> Refused:
    """What to say of a schema that a newer MLflow has made."""
    other = remembered or "and the one that ran before"
    return Refused(
        f"the database has the schema {revision}, which MLflow {mlflow_version} does not know: it was made by a newer "
        f"MLflow or something else; nothing was touched. Mend it with: bin/pulumi config set mlflowVersion {other}, "
        "or make rollback"
    )


def foreign(found: Set[str]) -> str | None:
    """A table in a database without MLflow's, in which MLflow would fail to make its own; None when it is empty."""
    strangers = sorted(name for name in found - SIGN_IN_TABLES if not name.startswith("alembic_"))
    return None if not strangers or found >= MAIN_TABLES else strangers[0]


def parts(connection: psycopg.Connection, *, sign_in: bool, mlflow_version: str, remembered: str | None) -> list[Part]:
    """Every set of tables with what it needs; Refused when one is not for this MLflow."""
    found = tables(connection)
    if stranger := foreign(found):
        raise Refused(
            f"the database holds tables, such as {stranger}, but none of MLflow's; nothing was touched. "
            "Mend it with: bin/pulumi config set postgresDatabase, and the name of a database for MLflow alone"
        )
    wanted = [("main", "alembic_version", MAIN_TABLES)]
    if sign_in:
        wanted.append(("sign-in", "alembic_version_auth", SIGN_IN_TABLES))
    result = []
    for name, version_table, expected in wanted:
        scripts, head = _scripts(MIGRATIONS[version_table])
        revisions = {script.revision for script in scripts.walk_revisions()}
        current = _revision(connection, version_table, found)
        try:
            due = decide(current=current, head=head, known=revisions, found=found, expected=expected)
        except Refused as error:
            raise unknown(str(error), mlflow_version, remembered) from None
        between = scripts.iterate_revisions(head, current) if due is Due.MIGRATE else ()
        pending = tuple(Path(script.path) for script in between)
        result.append(Part(name=name, current=current, head=head, due=due, pending=pending))
    return result


def touched(pending: Iterable[Path], among: Iterable[str]) -> set[str]:
    """Those tables that scripts may change: each that one names, alone or within SQL, for whatever reason."""
    words = "\n".join(word for script in pending for word in _words(ast.parse(script.read_bytes())))
    # In "runs.run_uuid" it is a foreign key's target, and not changed.
    return {table for table in among if re.search(rf"\b({table}(?!\.)|{CLASSES[table]})\b", words)}


def _words(script: ast.Module) -> Iterator[str]:
    """Texts and imported names; not the comments and explanations, in which something 'runs' all the time."""
    explained = {id(node.value) for node in ast.walk(script) if isinstance(node, ast.Expr)}
    for node in ast.walk(script):
        match node:
            case ast.Constant(value=str(text)) if id(node) not in explained:
                yield text
            case ast.alias(name=name) | ast.Attribute(attr=name):
                yield name


def _revision(connection: psycopg.Connection, version_table: str, found: Set[str]) -> str | None:
    if version_table not in found:
        return None
    query = psycopg.sql.SQL("SELECT version_num FROM public.{}").format(psycopg.sql.Identifier(version_table))
    rows = connection.execute(query).fetchall()
    if len(rows) > 1:
        raise Failed(f"{version_table} holds {len(rows)} revisions, it must hold one. Mend it with: make rollback")
    return str(rows[0][0]) if rows else None


def _scripts(folder: str) -> tuple[ScriptDirectory, str]:
    """MLflow's migrations of a set of tables, as Alembic's `ScriptDirectory`, and the newest revision."""
    # Not above: most commands of the schema job need neither.
    import mlflow
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(Path(mlflow.__file__).parent / folder))
    head = scripts.get_current_head()
    if head is None:
        raise Failed(f"MLflow has no migrations in {folder}")
    return scripts, head

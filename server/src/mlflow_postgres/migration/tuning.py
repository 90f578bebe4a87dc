"""Adds to MLflow's schema: indexes for searches, and autovacuum settings for growing tables.

Our indexes have a common prefix, and each has its definition as its comment. An index whose definition has changed is
replaced. One that is no longer in `INDEXES` is dropped. All of this is only for speed, so no failure stops the job.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from contextlib import contextmanager
from typing import NamedTuple

import psycopg
from psycopg import sql

from .connections import tables

PREFIX = "mlflow_postgres_"

# A value of a parameter or a tag may have 8,000 characters, and an index row holds 2,704 bytes. With an index on the
# whole value, logging a long one would fail. `rest/indexed_texts.py` searches by the first 128 characters.
INDEXES = {
    "mlflow_postgres_runs_newest": ("runs", "(experiment_id, lifecycle_stage, start_time DESC, run_uuid)"),
    "mlflow_postgres_latest_metrics_value": ("latest_metrics", "(key, value DESC) INCLUDE (run_uuid, is_nan)"),
    "mlflow_postgres_params_value": ("params", "(key, left(value, 128) text_pattern_ops)"),
    "mlflow_postgres_tags_value": ("tags", "(key, left(value, 128) text_pattern_ops)"),
    # Many runs have the same tag. This index allows index-only scans, which PostgreSQL does not do for an index on an
    # expression. Longer values are found through the index above.
    "mlflow_postgres_tags_short": ("tags", "(key, value, run_uuid) WHERE octet_length(value) <= 128"),
    "mlflow_postgres_trace_tags_short": ("trace_tags", "(key, value, request_id) WHERE octet_length(value) <= 128"),
    "mlflow_postgres_trace_metadata_short": (
        "trace_request_metadata",
        "(key, value, request_id) WHERE octet_length(value) <= 128",
    ),
    # Without the workspace, which older versions of MLflow do not have.
    "mlflow_postgres_versions_newest": ("model_versions", "(last_updated_time DESC, name, version DESC)"),
    "mlflow_postgres_versions_run": ("model_versions", "(run_id)"),
}

# With PostgreSQL's defaults, a table of 100 million rows is vacuumed after 20 million changes and analyzed after 10.
AUTOVACUUM = {"autovacuum_vacuum_scale_factor": "0.05", "autovacuum_analyze_scale_factor": "0.02"}
GROWING = (
    *("metrics", "latest_metrics", "params", "tags"),
    *("trace_info", "trace_tags", "trace_request_metadata", "trace_metrics", "spans", "span_metrics", "assessments"),
)

# Only indexes that belong to this role. Not LIKE, where '_' matches any character.
_OUR_INDEXES = """
SELECT made.relname, parent.relname, indisvalid, obj_description(made.oid, 'pg_class')
  FROM pg_index JOIN pg_class AS made ON made.oid = indexrelid JOIN pg_class AS parent ON parent.oid = indrelid
 WHERE made.relnamespace = 'public'::regnamespace AND made.relkind = 'i' AND starts_with(made.relname::text, %s)
   AND pg_get_userbyid(made.relowner) = current_user
 ORDER BY 1
"""


class Index(NamedTuple):
    """One of our indexes in the database."""

    name: str
    table: str
    valid: bool
    """False after an interrupted CREATE INDEX CONCURRENTLY. PostgreSQL updates such an index, but never uses it."""

    made_as: str | None
    """Its comment: the definition that it was created with."""


def tune(connection: psycopg.Connection) -> None:
    """Create missing indexes, replace changed ones, drop obsolete ones. The next run repeats what fails."""
    present = tables(connection)
    _drop_obsolete(connection)
    found = {index.name: index.made_as for index in _our_indexes(connection)}
    for name, (table, definition) in INDEXES.items():
        if table in present and found.get(name) != comment(table, definition):
            with _continuing(connection, f"index {name}"):
                _create_index(connection, name, table, definition, replaces=name in found)
    # Drops the replaced indexes, and those that were not completed.
    _drop_obsolete(connection)
    for table in GROWING:
        if table in present:
            with _continuing(connection, f"autovacuum of {table}"):
                _autovacuum(connection, table)


def drop_indexes(connection: psycopg.Connection, tables_touched: Set[str]) -> None:
    """Drop our indexes on tables that are about to be migrated. `tune` creates them again afterwards."""
    for index in _our_indexes(connection):
        if index.table in tables_touched:
            _drop_index(connection, index.name, f"a migration may touch {index.table}")


def comment(table: str, definition: str) -> str:
    """The comment of an index, which the next job compares."""
    return f"{table} {definition}"


def is_obsolete(index: Index) -> bool:
    """Whether an index is obsolete or invalid."""
    return index.name not in INDEXES or not index.valid


def _our_indexes(connection: psycopg.Connection) -> list[Index]:
    return [Index(*row) for row in connection.execute(_OUR_INDEXES, (PREFIX,))]


def _drop_obsolete(connection: psycopg.Connection) -> None:
    for index in _our_indexes(connection):
        if is_obsolete(index):
            _drop_index(connection, index.name, "obsolete" if index.valid else "incomplete")


def _drop_index(connection: psycopg.Connection, name: str, why: str) -> None:
    with _continuing(connection, f"index {name}"):
        connection.execute(sql.SQL("DROP INDEX CONCURRENTLY {}").format(sql.Identifier("public", name)))
        print(f"index {name}: dropped, {why}", flush=True)


def _create_index(connection: psycopg.Connection, name: str, table: str, definition: str, *, replaces: bool) -> None:
    """Create an index under another name, then rename it. Searches use the old one until `_drop_obsolete` drops it."""
    print(f"index {name}: {'rebuilding' if replaces else 'creating'} on {table}", flush=True)
    new = f"{name}_new"
    connection.execute(
        sql.SQL("CREATE INDEX CONCURRENTLY {} ON {} ").format(sql.Identifier(new), sql.Identifier("public", table))
        + sql.SQL(definition)
    )
    with connection.transaction():
        connection.execute(
            sql.SQL("COMMENT ON INDEX {} IS {}").format(
                sql.Identifier("public", new), sql.Literal(comment(table, definition))
            )
        )
        if replaces:
            _rename(connection, name, f"{name}_old")
        _rename(connection, new, name)


def _rename(connection: psycopg.Connection, name: str, other: str) -> None:
    connection.execute(
        sql.SQL("ALTER INDEX {} RENAME TO {}").format(sql.Identifier("public", name), sql.Identifier(other))
    )


def _autovacuum(connection: psycopg.Connection, table: str) -> None:
    row = connection.execute("SELECT reloptions FROM pg_class WHERE oid = to_regclass(%s)", (f"public.{table}",))
    found = (row.fetchone() or (None,))[0] or []
    if {f"{name}={setting}" for name, setting in AUTOVACUUM.items()} <= set(found):
        return
    settings = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Literal(float(setting)))
        for name, setting in AUTOVACUUM.items()
    )
    connection.execute(sql.SQL("ALTER TABLE {} SET ({})").format(sql.Identifier("public", table), settings))


@contextmanager
def _continuing(connection: psycopg.Connection, what: str) -> Iterator[None]:
    """Print an error of PostgreSQL and go on: the next job tries again. Only a lost connection is raised."""
    try:
        yield
    except psycopg.Error as error:
        if connection.closed:
            raise
        # Only the first line: the others may show rows.
        reason = str(error).partition("\n")[0]
        if isinstance(error, psycopg.errors.LockNotAvailable):
            reason = "another transaction has held a lock for more than a minute"
        print(f"{what}: {reason}; left for the next run", flush=True)

"""What PostgreSQL is told beside MLflow's own schema: indexes for its searches, and earlier vacuums for big tables.

An index's name says that it is ours, and its comment what it was made as: one that is made as something else today is
replaced, one that is wanted no more is dropped. All of it is for speed alone, so that none of it may fail a job.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from contextlib import contextmanager
from typing import NamedTuple

import psycopg
from psycopg import sql

from .connections import tables

PREFIX = "mlflow_postgres_"

# A value of a parameter or a tag may have 8,000 characters, an index row holds 2,704 bytes: the whole of it in an index
# would make logging it fail. `database/filters.py` asks by its first 128.
INDEXES = {
    "mlflow_postgres_runs_newest": ("runs", "(experiment_id, lifecycle_stage, start_time DESC, run_uuid)"),
    "mlflow_postgres_latest_metrics_value": ("latest_metrics", "(key, value DESC) INCLUDE (run_uuid, is_nan)"),
    "mlflow_postgres_params_value": ("params", "(key, left(value, 128) text_pattern_ops)"),
    "mlflow_postgres_tags_value": ("tags", "(key, left(value, 128) text_pattern_ops)"),
    # Many runs have the same tag: of this one the runs can be read without the table. PostgreSQL does not do so with an
    # index on an expression; what is too long for it is found by the one above.
    "mlflow_postgres_tags_short": ("tags", "(key, value, run_uuid) WHERE octet_length(value) <= 128"),
    "mlflow_postgres_trace_tags_short": ("trace_tags", "(key, value, request_id) WHERE octet_length(value) <= 128"),
    "mlflow_postgres_trace_metadata_short": (
        "trace_request_metadata",
        "(key, value, request_id) WHERE octet_length(value) <= 128",
    ),
}

# As they come, a table of 100 million rows is vacuumed after 20 million changes, and planned with old figures until 10.
AUTOVACUUM = {"autovacuum_vacuum_scale_factor": "0.05", "autovacuum_analyze_scale_factor": "0.02"}
GROWING = (
    *("metrics", "latest_metrics", "params", "tags"),
    *("trace_info", "trace_tags", "trace_request_metadata", "trace_metrics", "spans", "span_metrics", "assessments"),
)

# What belongs to somebody else is not ours, whatever its name. Not LIKE: there '_' stands for any character.
_OURS = """
SELECT made.relname, parent.relname, indisvalid, obj_description(made.oid, 'pg_class')
  FROM pg_index JOIN pg_class AS made ON made.oid = indexrelid JOIN pg_class AS parent ON parent.oid = indrelid
 WHERE made.relnamespace = 'public'::regnamespace AND made.relkind = 'i' AND starts_with(made.relname::text, %s)
   AND pg_get_userbyid(made.relowner) = current_user
 ORDER BY 1
"""


class Index(NamedTuple):
    """One of our indexes, as it is in the database."""

    name: str
    table: str
    valid: bool
    """False for what an interrupted job has left: PostgreSQL keeps it up to date, and never reads it."""

    made_as: str | None


def tune(connection: psycopg.Connection) -> None:
    """Make what is missing or made otherwise, drop what is left over; what cannot be done now is left for later."""
    present = tables(connection)
    _tidy(connection)
    found = {index.name: index.made_as for index in _ours(connection)}
    for name, (table, definition) in INDEXES.items():
        if table in present and found.get(name) != described(table, definition):
            with _or_later(connection, f"index {name}"):
                _make(connection, name, table, definition, replaces=name in found)
    # What was replaced, and what did not get done.
    _tidy(connection)
    for table in GROWING:
        if table in present:
            with _or_later(connection, f"autovacuum of {table}"):
                _autovacuum(connection, table)


def make_way(connection: psycopg.Connection, touched: Set[str]) -> None:
    """Drop our indexes on tables that are about to be migrated: `tune` makes them again afterwards."""
    for index in _ours(connection):
        if index.table in touched:
            _drop(connection, index.name, f"a migration may touch {index.table}")


def described(table: str, definition: str) -> str:
    """An index's comment, by which the next job knows what it was made as."""
    return f"{table} {definition}"


def leftover(index: Index) -> bool:
    """Whether an index is wanted no more, or of no use."""
    return index.name not in INDEXES or not index.valid


def _ours(connection: psycopg.Connection) -> list[Index]:
    return [Index(*row) for row in connection.execute(_OURS, (PREFIX,))]


def _tidy(connection: psycopg.Connection) -> None:
    for index in _ours(connection):
        if leftover(index):
            _drop(connection, index.name, "not wanted any more" if index.valid else "it was not finished")


def _drop(connection: psycopg.Connection, name: str, why: str) -> None:
    with _or_later(connection, f"index {name}"):
        connection.execute(sql.SQL("DROP INDEX CONCURRENTLY {}").format(sql.Identifier("public", name)))
        print(f"index {name}: dropped, {why}", flush=True)


def _make(connection: psycopg.Connection, name: str, table: str, definition: str, *, replaces: bool) -> None:
    """Under another name until it is whole: the one that it replaces is read meanwhile, and dropped by `_tidy`."""
    print(f"index {name}: {'made anew' if replaces else 'made'} on {table}", flush=True)
    new = f"{name}_new"
    connection.execute(
        sql.SQL("CREATE INDEX CONCURRENTLY {} ON {} ").format(sql.Identifier(new), sql.Identifier("public", table))
        + sql.SQL(definition)
    )
    with connection.transaction():
        connection.execute(
            sql.SQL("COMMENT ON INDEX {} IS {}").format(
                sql.Identifier("public", new), sql.Literal(described(table, definition))
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
def _or_later(connection: psycopg.Connection, what: str) -> Iterator[None]:
    """What PostgreSQL does not do now is said, and left for the next job; only a lost connection is raised."""
    try:
        yield
    except psycopg.Error as error:
        if connection.closed:
            raise
        # The first line alone: what follows may show rows.
        reason = str(error).partition("\n")[0]
        if isinstance(error, psycopg.errors.LockNotAvailable):
            reason = "somebody's transaction is in the way for over a minute"
        print(f"{what}: {reason}; left for the next run", flush=True)

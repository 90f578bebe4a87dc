"""What PostgreSQL is told beside MLflow's own schema: indexes for its searches, and earlier vacuums for big tables."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from .database import tables

# A value of a parameter or a tag may have 8,000 characters, an index row holds 2,704 bytes: the whole of it in an index
# would make logging it fail. `store/filters.py` asks by its first 128.
INDEXES = {
    "mlflow_postgres_runs_newest": ("runs", "(experiment_id, lifecycle_stage, start_time DESC, run_uuid)"),
    "mlflow_postgres_latest_metrics_value": ("latest_metrics", "(key, value DESC) INCLUDE (run_uuid, is_nan)"),
    "mlflow_postgres_params_value": ("params", "(key, left(value, 128) text_pattern_ops)"),
    "mlflow_postgres_tags_value": ("tags", "(key, left(value, 128) text_pattern_ops)"),
}

# As they come, a table of 100 million rows is vacuumed after 20 million changes, and planned with old figures until 10.
AUTOVACUUM = {"autovacuum_vacuum_scale_factor": "0.05", "autovacuum_analyze_scale_factor": "0.02"}
GROWING = (
    *("metrics", "latest_metrics", "params", "tags"),
    *("trace_info", "trace_tags", "trace_request_metadata", "trace_metrics", "spans", "span_metrics", "assessments"),
)


def tune(connection: psycopg.Connection[Any]) -> None:
    """Make what is missing; an index that cannot be made now is said, and left for the next job."""
    present = tables(connection)
    for name, (table, definition) in INDEXES.items():
        if table in present:
            _index(connection, name, table, definition)
    for table in GROWING:
        if table in present:
            _autovacuum(connection, table)


def _index(connection: psycopg.Connection[Any], name: str, table: str, definition: str) -> None:
    row = connection.execute(
        "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", (f"public.{name}",)
    ).fetchone()
    if row and row[0]:
        return
    index = sql.Identifier("public", name)
    try:
        if row:
            # An interrupted job's: PostgreSQL keeps it up to date, and never reads it.
            connection.execute(sql.SQL("DROP INDEX CONCURRENTLY {}").format(index))
        print(f"index {name}", flush=True)
        connection.execute(
            sql.SQL("CREATE INDEX CONCURRENTLY IF NOT EXISTS {} ON {} ").format(
                sql.Identifier(name), sql.Identifier("public", table)
            )
            + sql.SQL(definition)
        )
    except psycopg.errors.LockNotAvailable:
        print(f"index {name}: somebody holds {table} for over a minute; left for the next run", flush=True)


def _autovacuum(connection: psycopg.Connection[Any], table: str) -> None:
    row = connection.execute("SELECT reloptions FROM pg_class WHERE oid = to_regclass(%s)", (f"public.{table}",))
    found = (row.fetchone() or (None,))[0] or []
    if {f"{name}={setting}" for name, setting in AUTOVACUUM.items()} <= set(found):
        return
    settings = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Literal(float(setting)))
        for name, setting in AUTOVACUUM.items()
    )
    connection.execute(sql.SQL("ALTER TABLE {} SET ({})").format(sql.Identifier("public", table), settings))

"""Connections to the database, the lock that allows one schema job at a time, and the record of MLflow's versions."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg

from ..errors import Failed

# The key of the advisory lock. It must never change: old and new schema jobs exclude each other.
LOCK = int.from_bytes(b"mlflowdb", "big")
CONNECT_TIMEOUT = 60.0
"""Seconds to wait until the server accepts connections with this password."""


def session_options(server_version: int) -> str:
    """Settings of a session that changes the schema. `server_version` is libpq's number: 170012 for 17.12."""
    # While ALTER TABLE waits for a long query, all later queries of that table wait too: wait for a minute at most.
    options = "-c statement_timeout=0 -c lock_timeout=60s"
    # A killed container closes no connections. Without keepalives the server would keep its locks for two hours.
    options += " -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
    if server_version >= 140000:
        # Otherwise the server continues a statement of a killed job, and holds its locks.
        options += " -c client_connection_check_interval=10s"
    return options


def connect(uri: str, timeout: float = CONNECT_TIMEOUT) -> psycopg.Connection:
    """A connection in autocommit mode. Raises `Failed` if there is none within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            connection = psycopg.connect(
                uri,
                autocommit=True,
                connect_timeout=10,
                options=session_options(0),
                # Otherwise a lost connection would keep its locks for hours.
                keepalives_idle=30,
                keepalives_interval=10,
                keepalives_count=3,
            )
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                reason = " ".join(str(error).split())
                raise Failed(
                    "database-not-reached",
                    f"no connection within {timeout:.0f} s: {reason}; nothing was changed",
                    remedy="make up; if that fails, make logs shows why",
                ) from error
            time.sleep(1)
        else:
            if connection.info.server_version >= 140000:
                connection.execute("SET client_connection_check_interval = '10s'")
            return connection


@contextmanager
def schema_job_lock(uri: str) -> Iterator[None]:
    """Hold the schema job's lock. Waits for another schema job without a limit."""
    with connect(uri) as connection:
        connection.execute("SET lock_timeout = 0")
        waiting = False
        # Not pg_advisory_lock: a session that waits in it holds a snapshot, and CREATE INDEX CONCURRENTLY in the other
        # job waits for all snapshots. The two would wait for each other.
        while not value(connection, "SELECT pg_try_advisory_lock(%s)", LOCK):
            if not waiting:
                print("waiting for another schema job", flush=True)
                waiting = True
            time.sleep(1)
        yield


def value(connection: psycopg.Connection, query: LiteralString, *parameters: object) -> Any:
    """The first column of the first row, or None."""
    row = connection.execute(query, parameters).fetchone()
    return row[0] if row else None


def tables(connection: psycopg.Connection) -> set[str]:
    """Names of the tables in the schema public, which MLflow uses."""
    return {name for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}


def has_sessions(connection: psycopg.Connection, role: str) -> bool:
    """Whether a role has open sessions."""
    return bool(value(connection, "SELECT count(*) FROM pg_stat_activity WHERE usename = %s", role))


def recorded_version(connection: psycopg.Connection) -> str | None:
    """The version of MLflow of the last successful schema job; None before the first one."""
    if value(connection, "SELECT to_regclass('mlflow_postgres.versions')") is None:
        return None
    found = value(connection, "SELECT mlflow_version FROM mlflow_postgres.versions ORDER BY since DESC LIMIT 1")
    return None if found is None else str(found)


def record_version(connection: psycopg.Connection, mlflow_version: str) -> None:
    """Record the version of MLflow that works on the database from now on."""
    if recorded_version(connection) == mlflow_version:
        return
    # A separate schema: MLflow regards every table in public as one of its own.
    connection.execute("CREATE SCHEMA IF NOT EXISTS mlflow_postgres")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS mlflow_postgres.versions"
        " (since timestamptz PRIMARY KEY DEFAULT clock_timestamp(), mlflow_version text NOT NULL)"
    )
    connection.execute("INSERT INTO mlflow_postgres.versions (mlflow_version) VALUES (%s)", (mlflow_version,))

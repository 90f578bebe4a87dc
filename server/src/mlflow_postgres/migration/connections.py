"""Connections to the database, the lock that lets one schema job work at a time, and the record of its versions."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg

from .job import Failed

# Any number will do, so long as every schema job takes the same one.
LOCK = int.from_bytes(b"mlflowdb", "big")
PATIENCE = 60.0
"""Seconds that a server may take until it is there and knows the password."""


def session_options(server_version: int) -> str:
    """Settings of a session that changes the schema; `server_version` as libpq gives it, 170012 for 17.12."""
    # A change of a table that waits for a long query makes everybody else wait behind it.
    options = "-c statement_timeout=0 -c lock_timeout=60s"
    # A killed container's network goes before its last word: the server would wait, with every lock, for 2 hours.
    options += " -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
    if server_version >= 140000:
        # Without it, the server works on at a statement whose job was killed, and holds its locks.
        options += " -c client_connection_check_interval=10s"
    return options


def connect(uri: str, patience: float = PATIENCE) -> psycopg.Connection:
    """A connection that commits every statement by itself; Failed when the server is not there within `patience` s."""
    deadline = time.monotonic() + patience
    while True:
        try:
            connection = psycopg.connect(
                uri,
                autocommit=True,
                connect_timeout=10,
                options=session_options(0),
                # A lock whose connection is lost without a word would be kept for hours.
                keepalives_idle=30,
                keepalives_interval=10,
                keepalives_count=3,
            )
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                reason = " ".join(str(error).split())
                raise Failed(
                    f"no connection within {patience:.0f} s: {reason}. Nothing was touched. "
                    "Mend it with: make up; make logs shows why if that does not"
                ) from error
            time.sleep(1)
        else:
            if connection.info.server_version >= 140000:
                connection.execute("SET client_connection_check_interval = '10s'")
            return connection


@contextmanager
def alone(uri: str) -> Iterator[None]:
    """No other schema job works on the database meanwhile; waits for it as long as it takes."""
    with connect(uri) as connection:
        connection.execute("SET lock_timeout = 0")
        waiting = False
        # Not pg_advisory_lock: a session that waits in it holds a snapshot, and CREATE INDEX CONCURRENTLY of the job
        # that has the lock waits for that: neither would ever end.
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
    """Names of the tables in the schema that MLflow uses."""
    return {name for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}


def has_sessions(connection: psycopg.Connection, role: str) -> bool:
    """Whether somebody is signed in as a role."""
    return bool(value(connection, "SELECT count(*) FROM pg_stat_activity WHERE usename = %s", role))


def recorded_version(connection: psycopg.Connection) -> str | None:
    """MLflow's version that the last successful job was made by; None in a database that has seen none."""
    if value(connection, "SELECT to_regclass('mlflow_postgres.versions')") is None:
        return None
    found = value(connection, "SELECT mlflow_version FROM mlflow_postgres.versions ORDER BY since DESC LIMIT 1")
    return None if found is None else str(found)


def record_version(connection: psycopg.Connection, mlflow_version: str) -> None:
    """Remember which MLflow works on the database from now on."""
    if recorded_version(connection) == mlflow_version:
        return
    # A schema of our own: MLflow would take a table beside its own for one of its own.
    connection.execute("CREATE SCHEMA IF NOT EXISTS mlflow_postgres")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS mlflow_postgres.versions"
        " (since timestamptz PRIMARY KEY DEFAULT clock_timestamp(), mlflow_version text NOT NULL)"
    )
    connection.execute("INSERT INTO mlflow_postgres.versions (mlflow_version) VALUES (%s)", (mlflow_version,))

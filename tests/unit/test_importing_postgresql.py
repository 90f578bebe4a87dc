"""The rows of an old PostgreSQL, as they are read: those of MLflow's own schema, all of them, and none is changed."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from contract.errors import UserError
from contract.import_events import Progress
from ops import databases
from server.tests.postgresql import Server, running

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as made:
        yield made


@pytest.fixture
def old(server: Server) -> str:
    """Name of an empty database."""
    name = f"old_{next(_NUMBERS)}"
    server.create(name)
    return name


def ask(server: Server, name: str, *orders: str) -> None:
    with psycopg.connect(server.uri(name), autocommit=True) as session:
        for order in orders:
            session.execute(order.encode())


def test_values_come_as_they_are_and_every_table_is_counted(server: Server, old: str, tmp_path: Path) -> None:
    ask(
        server,
        old,
        "CREATE TABLE experiments (experiment_id int, name varchar(256), twice int GENERATED ALWAYS AS (1) STORED)",
        "INSERT INTO experiments VALUES (1, 'ü'), (2, NULL)",
        "CREATE TABLE metrics (value double precision, is_nan boolean, step bigint)",
        "INSERT INTO metrics VALUES ('-0', false, 9007199254740993), ('NaN', true, 0), (0.1, false, 1)",
        "CREATE TABLE records (inputs json, day date, content bytea)",
        """INSERT INTO records VALUES ('{"a": 1.0}', '2026-01-31', '\\x00ff')""",
        "CREATE VIEW seen AS SELECT 1 AS one",
    )
    seen: list[Progress] = []
    source = databases.rows_of(server.uri(old), tmp_path / "rows", seen.append)
    assert source.rows_only
    with closing(sqlite3.connect(source.path)) as rows:
        tables = {name for (name,) in rows.execute("SELECT name FROM sqlite_master")}
        assert tables == {"experiments", "metrics", "records"}
        assert rows.execute("SELECT * FROM experiments").fetchall() == [(1, "ü"), (2, None)]
        assert rows.execute("SELECT * FROM metrics").fetchall() == [
            (b"-0.0", 0, 9007199254740993),
            (b"nan", 1, 0),
            (0.1, 0, 1),
        ]
        assert rows.execute("SELECT * FROM records").fetchall() == [('{"a": 1.0}', "2026-01-31", b"\x00\xff")]
    assert [(each.table, each.rows, each.of) for each in seen if each.of] == [
        ("experiments", 2, 2),
        ("metrics", 3, 3),
        ("records", 1, 1),
    ]


def test_rows_are_those_of_mlflows_own_schema_and_all_of_them(server: Server, old: str, tmp_path: Path) -> None:
    ask(
        server,
        old,
        "CREATE ROLE bob LOGIN",
        "CREATE TABLE experiments (experiment_id int, artifact_location text)",
        "CREATE TABLE metrics (key text)",
        "INSERT INTO metrics VALUES ('mine')",
        "GRANT SELECT ON experiments, metrics TO bob",
        "CREATE SCHEMA bob AUTHORIZATION bob",
        # The search path begins with the schema of the user's name.
        "CREATE TABLE bob.metrics (key text)",
        "ALTER TABLE bob.metrics OWNER TO bob",
    )
    address = server.uri(old).replace("postgres@", "bob@")
    found = databases.rows_of(address, tmp_path / "rows", lambda _: None)
    with closing(sqlite3.connect(found.path)) as rows:
        assert rows.execute("SELECT key FROM metrics").fetchall() == [("mine",)]
    ask(server, old, "ALTER TABLE metrics ENABLE ROW LEVEL SECURITY")
    with pytest.raises(UserError, match="row-level security"):
        databases.rows_of(address, tmp_path / "more", lambda _: None)


def test_all_tables_are_read_as_of_one_moment(server: Server, old: str, tmp_path: Path) -> None:
    ask(
        server,
        old,
        *("CREATE TABLE experiments (experiment_id int)", "CREATE TABLE runs (run_uuid text)"),
        "INSERT INTO experiments VALUES (1)",
    )

    def logged_meanwhile(progress: Progress) -> None:
        if progress.table == "experiments":
            ask(server, old, "INSERT INTO runs VALUES ('later')")

    found = databases.rows_of(server.uri(old), tmp_path / "rows", logged_meanwhile)
    with closing(sqlite3.connect(found.path)) as rows:
        assert rows.execute("SELECT * FROM runs").fetchall() == []


def test_a_database_that_is_not_there_or_is_empty_is_refused_with_a_reason(
    server: Server, old: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="has no tables of MLflow's that may be read"):
        databases.rows_of(server.uri(old), tmp_path / "empty", lambda _: None)
    with pytest.raises(UserError, match='database "nobody" does not exist; nothing was changed'):
        databases.rows_of(server.uri("nobody"), tmp_path / "nobody", lambda _: None)

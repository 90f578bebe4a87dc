"""The tutorial's own PostgreSQL comes along as a file does; it is only read, and its password shows nowhere."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from contract.errors import UserError
from ops import databases

from .harness import Deployment, wait_for
from .old_databases import OF_2_9, PASSWORD, ROWS_OF_2_9, Database, database
from .old_stores import assert_same, contents, import_containers, refusal, start_import


@pytest.fixture(scope="module")
def new(empty_stack: Deployment) -> Deployment:
    # Where the rows are meanwhile: in a folder of this test's own.
    empty_stack.environment["TMPDIR"] = str(empty_stack.folder)
    return empty_stack


@pytest.fixture(scope="module")
def old(new: Deployment) -> Iterator[Database]:
    with database(new) as made:
        yield made


def test_everything_of_a_database_is_the_same_here(new: Deployment, old: Database, tmp_path: Path) -> None:
    old.ask("postgres", "CREATE DATABASE tutorial")
    there = old.filled("tutorial", tmp_path)
    before = old.dumped("tutorial")
    address = old.address("tutorial", driver="+psycopg2")
    with start_import(new, "--artifacts-from", str(tmp_path / "mlruns"), address) as process:
        wait_for(lambda: bool(import_containers(new)) or process.poll() is not None, "an import")
        seen = [json.dumps(each.attrs) for each in import_containers(new)]
        printed = process.communicate()[0]
    assert process.returncode == 0, printed
    assert "read metrics: 206" in printed
    assert "same on both sides: metrics, 206 rows" in printed
    assert_same(contents(new), there)
    assert old.dumped("tutorial") == before
    assert seen
    assert all(PASSWORD not in each and address not in each for each in (*seen, printed))
    assert not list(new.folder.glob("mlflow-postgres-import-*"))


def test_a_database_of_an_older_mlflow_comes_along_and_stays_as_old_as_it_is(new: Deployment, old: Database) -> None:
    old.ask("postgres", "CREATE DATABASE older")
    old.run("python", "-c", OF_2_9, old.address("older", driver="+psycopg"))
    old.ask("older", *ROWS_OF_2_9.split(";\n")[:-1])
    before = old.dumped("older")
    new.ops("import", old.address("older"))
    here = contents(new)
    run = here["runs"]["abc"]
    assert run["experiment"] == "of 2.9"
    assert (run["params"], run["history"]) == ({"p": "x"}, {"m": [[0, 1, "0.1"]]})
    assert old.dumped("older") == before


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tutorial", "already imported"),
        ("nobody", 'database "nobody" does not exist; nothing was changed'),
        ("empty", "has no tables of MLflow's that may be read"),
        ("wrong", 'password authentication failed for user "postgres"; nothing was changed. Mend it with: a host'),
        ("stranger", "the store is not MLflow's: it has no table metrics"),
        ("newer", "the store has the schema fffff, which MLflow 3.17.2 does not know"),
        ("raw", "the address of the database cannot be understood"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_reason(new: Deployment, old: Database, name: str, said: str) -> None:
    address = old.address(name)
    match name:
        case "empty":
            old.ask("postgres", "CREATE DATABASE empty")
        case "wrong":
            address = old.address("postgres", "another")
        case "stranger":
            old.ask("postgres", "CREATE DATABASE stranger")
            old.ask("stranger", "CREATE TABLE experiments (experiment_id int, artifact_location text)")
        case "newer":
            old.ask("postgres", "CREATE DATABASE newer TEMPLATE tutorial")
            old.ask("newer", "UPDATE alembic_version SET version_num = 'fffff'")
        case "raw":
            address = f"postgresql://postgres:{PASSWORD}@127.0.0.1:{old.port}/tutorial"
    line = refusal(new, address)
    assert said in line
    assert not any(each in line for each in (PASSWORD, "ss/w", "another"))


def test_rows_are_those_of_mlflows_own_schema_and_all_of_them(old: Database, tmp_path: Path) -> None:
    old.ask("postgres", "CREATE DATABASE schemas", "CREATE ROLE bob LOGIN PASSWORD 'bob'")
    old.ask(
        "schemas",
        "CREATE TABLE experiments (experiment_id int, artifact_location text)",
        "CREATE TABLE metrics (key text)",
        "INSERT INTO metrics VALUES ('mine')",
        "GRANT SELECT ON experiments, metrics TO bob",
        "CREATE SCHEMA bob AUTHORIZATION bob",
        # The search path begins with the schema of the user's name.
        "CREATE TABLE bob.metrics (key text)",
        "ALTER TABLE bob.metrics OWNER TO bob",
    )
    address = f"postgresql://bob:bob@127.0.0.1:{old.port}/schemas"
    found = databases.rows_of(address, tmp_path / "rows", lambda _: None)
    with closing(sqlite3.connect(found.path)) as rows:
        assert rows.execute("SELECT key FROM metrics").fetchall() == [("mine",)]
    old.ask("schemas", "ALTER TABLE metrics ENABLE ROW LEVEL SECURITY")
    with pytest.raises(UserError, match="row-level security"):
        databases.rows_of(address, tmp_path / "more", lambda _: None)

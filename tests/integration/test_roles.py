"""Who may do what in the database, and from where."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from .harness import Deployment

DENIED = psycopg.errors.InsufficientPrivilege


@pytest.fixture(scope="module")
def outputs(stack: Deployment) -> dict[str, str]:
    return stack.outputs()


@pytest.fixture
def server(outputs: dict[str, str]) -> Iterator[psycopg.Connection]:
    """A session of the role that MLflow's server has."""
    with psycopg.connect(address(outputs, outputs["postgres_user"], outputs["postgres_password"])) as connection:
        yield connection


@pytest.fixture
def reader(outputs: dict[str, str]) -> Iterator[psycopg.Connection]:
    """A session of the role that people and dashboards have."""
    user, password = outputs["postgres_readonly_user"], outputs["postgres_readonly_password"]
    with psycopg.connect(address(outputs, user, password)) as connection:
        yield connection


def address(outputs: dict[str, str], user: str, password: str, database: str | None = None) -> str:
    return (
        f"host={outputs['postgres_host']} port={outputs['postgres_port']} user={user} password={password} "
        f"dbname={database or outputs['postgres_database']}"
    )


@pytest.mark.parametrize("order", [
    "CREATE TABLE stranger (id int)",
    "CREATE SCHEMA stranger",
    "CREATE TEMP TABLE stranger (id int)",
    "CREATE FUNCTION stranger() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE DATABASE stranger",
    "CREATE ROLE stranger",
    "CREATE EXTENSION dblink",
    "DROP TABLE runs",
    "DROP TABLE runs CASCADE",
    "DROP SCHEMA public CASCADE",
    "ALTER TABLE runs ADD COLUMN stranger int",
    "CREATE INDEX stranger ON runs (name)",
    "TRUNCATE runs",
    "COPY runs TO PROGRAM 'cat > /tmp/stranger'",
    "COPY runs FROM PROGRAM 'id'",
    "COPY runs TO '/tmp/stranger'",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT rolpassword FROM pg_authid",
    "SET ROLE mlflow_owner",
    "ALTER ROLE mlflow SUPERUSER",
    "ALTER SYSTEM SET fsync = off",
])  # fmt: skip
def test_the_servers_role_is_refused(server: psycopg.Connection, order: str) -> None:
    server.autocommit = True
    with pytest.raises(DENIED):
        server.execute(order)


@pytest.mark.parametrize("database", ["postgres", "template1"])
def test_the_servers_role_reads_no_other_database(outputs: dict[str, str], database: str) -> None:
    there = address(outputs, outputs["postgres_user"], outputs["postgres_password"], database)
    with pytest.raises(psycopg.OperationalError, match=r"pg_hba\.conf rejects connection"):
        psycopg.connect(there).close()


def test_the_servers_role_works_with_rows(server: psycopg.Connection) -> None:
    assert server.execute("SELECT count(*) FROM experiments WHERE name = 'Default'").fetchone() == (1,)
    server.execute("UPDATE experiments SET name = name")
    server.rollback()


@pytest.mark.parametrize("order", [
    "INSERT INTO tags (key, value, run_uuid) VALUES ('a', 'b', 'c')",
    "UPDATE experiments SET name = 'stranger'",
    "DELETE FROM metrics",
    "TRUNCATE metrics",
    "CREATE TABLE stranger (id int)",
    "SELECT nextval('experiments_experiment_id_seq')",
])  # fmt: skip
def test_the_readers_role_writes_nothing_even_when_it_says_that_it_will(reader: psycopg.Connection, order: str) -> None:
    reader.autocommit = True
    with pytest.raises((psycopg.errors.ReadOnlySqlTransaction, DENIED)):
        reader.execute(order)
    reader.execute("SET default_transaction_read_only = off")
    with pytest.raises(DENIED):
        reader.execute(order)


def test_the_readers_role_reads_the_runs_and_no_credentials(reader: psycopg.Connection) -> None:
    reader.autocommit = True
    for table in ("experiments", "runs", "metrics", "params", "tags", "registered_models", "trace_info"):
        reader.execute(f"SELECT count(*) FROM {table}")
    for table in ("secrets", "webhooks", "jobs"):
        with pytest.raises(DENIED):
            reader.execute(f"SELECT count(*) FROM {table}")


def test_what_a_migration_makes_is_readers_to_read_and_the_servers_to_write(stack: Deployment) -> None:
    rights = ("mlflow_readonly", "SELECT"), ("mlflow_readonly", "INSERT"), ("mlflow", "INSERT"), ("mlflow", "TRUNCATE")
    asked = ", ".join(f"has_table_privilege('{role}', 'later', '{right}')" for role, right in rights)
    made = f"BEGIN; SET ROLE mlflow_owner; CREATE TABLE later (id int); SELECT {asked}; ROLLBACK"
    assert stack.execute("postgres", "psql", "-U", "postgres", "-d", "mlflow", "-Atqc", made).strip() == "t|f|t|f"


@pytest.mark.parametrize("user", ["postgres", "mlflow_owner"])
def test_neither_the_superuser_nor_the_owner_comes_in_through_the_published_port(
    outputs: dict[str, str], user: str
) -> None:
    with pytest.raises(psycopg.OperationalError, match=r"pg_hba\.conf rejects connection"):
        psycopg.connect(address(outputs, user, outputs["postgres_password"])).close()


def test_the_superuser_has_no_password_and_comes_in_over_the_socket_alone(stack: Deployment) -> None:
    asked = "SELECT rolsuper, rolpassword IS NULL FROM pg_authid WHERE rolname = 'postgres'"
    assert stack.execute("postgres", "psql", "-U", "postgres", "-d", "postgres", "-Atc", asked).strip() == "t|t"
    said = stack.container("postgres").exec_run(["psql", "-h", "127.0.0.1", "-U", "postgres", "-d", "mlflow", "-w"])
    assert said.exit_code
    assert b"rejects connection" in said.output


def test_every_role_is_cut_off_when_it_holds_others_up(stack: Deployment) -> None:
    asked = (
        "SELECT rolname, string_agg(split_part(setting, '=', 1), ',' ORDER BY setting) "
        "FROM pg_roles, unnest(rolconfig) AS setting WHERE rolname LIKE 'mlflow%' GROUP BY rolname ORDER BY rolname"
    )
    limits = "idle_in_transaction_session_timeout,lock_timeout"
    assert stack.execute("postgres", "psql", "-U", "postgres", "-d", "postgres", "-Atc", asked).split() == [
        f"mlflow|{limits},statement_timeout",
        f"mlflow_owner|{limits}",
        f"mlflow_readonly|default_transaction_read_only,{limits},statement_timeout",
    ]


def test_the_roles_share_the_connections_and_leave_some(stack: Deployment) -> None:
    asked = (
        "SELECT current_setting('max_connections')::int - sum(rolconnlimit) >= 10 "
        "FROM pg_roles WHERE rolname LIKE 'mlflow%' HAVING min(rolconnlimit) > 0"
    )
    assert stack.execute("postgres", "psql", "-U", "postgres", "-d", "postgres", "-Atc", asked).strip() == "t"


def test_a_statement_that_takes_too_long_is_ended(server: psycopg.Connection) -> None:
    server.execute("SET LOCAL statement_timeout = '100ms'")
    with pytest.raises(psycopg.errors.QueryCanceled):
        server.execute("SELECT pg_sleep(5)")

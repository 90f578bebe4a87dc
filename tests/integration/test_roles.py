"""The roles of a stack are those of server/tests/test_roles.py; and from where they may come in."""

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


def test_the_roles_of_the_stack_work_with_rows_and_read(server: psycopg.Connection, reader: psycopg.Connection) -> None:
    assert server.execute("SELECT count(*) FROM experiments WHERE name = 'Default'").fetchone() == (1,)
    server.execute("UPDATE experiments SET name = name")
    server.rollback()
    reader.execute("SELECT count(*) FROM runs")
    reader.rollback()
    refused = {
        server: ("CREATE TABLE stranger (id int)", "CREATE EXTENSION dblink", "TRUNCATE runs", "SET ROLE mlflow_owner"),
        reader: ("DELETE FROM metrics", "SELECT count(*) FROM secrets", "CREATE TABLE stranger (id int)"),
    }
    for session, orders in refused.items():
        session.autocommit = True
        session.execute("SET default_transaction_read_only = off")
        for order in orders:
            with pytest.raises(DENIED):
                session.execute(order)


@pytest.mark.parametrize("database", ["postgres", "template1"])
def test_the_servers_role_reads_no_other_database(outputs: dict[str, str], database: str) -> None:
    there = address(outputs, outputs["postgres_user"], outputs["postgres_password"], database)
    with pytest.raises(psycopg.OperationalError, match=r"pg_hba\.conf rejects connection"):
        psycopg.connect(there).close()


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


def test_the_roles_share_the_connections_and_leave_some(stack: Deployment) -> None:
    asked = (
        "SELECT current_setting('max_connections')::int - sum(rolconnlimit) >= 10 "
        "FROM pg_roles WHERE rolname LIKE 'mlflow%' HAVING min(rolconnlimit) > 0"
    )
    assert stack.execute("postgres", "psql", "-U", "postgres", "-d", "postgres", "-Atc", asked).strip() == "t"

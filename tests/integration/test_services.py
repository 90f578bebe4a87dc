"""What runs, as what, reached from where, and the commands to look at it."""

from __future__ import annotations

import psycopg
import pytest

from .harness import Deployment


def test_no_process_of_the_tracking_server_is_root(stack: Deployment) -> None:
    container = stack.container("mlflow")
    assert container.attrs["Config"]["User"] == "nobody"
    shown = container.top(ps_args="-eo uid,pid,args")
    assert shown["Titles"][0] == "UID"
    assert {process[0] for process in shown["Processes"]} == {"65534"}


def test_the_role_of_the_tracking_server_is_no_superuser(stack: Deployment) -> None:
    outputs = stack.outputs()
    with psycopg.connect(outputs["backend_store_uri"].replace("+psycopg", "")) as connection:
        query = (
            "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls FROM pg_roles WHERE rolname = %s"
        )
        assert connection.execute(query, [outputs["postgres_user"]]).fetchone() == (False,) * 5


@pytest.mark.parametrize("role", ["postgres", "mlflow", "adminer"])
def test_a_port_is_open_on_loopback_alone(stack: Deployment, role: str) -> None:
    bound = [each["HostIp"] for binding in stack.container(role).ports.values() for each in binding or []]
    assert bound == ["127.0.0.1"]


def test_the_database_network_has_no_way_out(stack: Deployment) -> None:
    (network,) = stack.engine.networks.list(names=[f"{stack.prefix}-database"])
    assert network.attrs["Internal"]


def test_a_shell_in_the_database_needs_no_password(stack: Deployment) -> None:
    assert "mlflow|mlflow" in stack.ops(
        "psql", typed="\\pset format unaligned\nSELECT current_user, current_database();\n"
    )


def test_the_logs_are_those_of_every_service(stack: Deployment) -> None:
    said = stack.ops("logs")
    assert {line.split()[0] for line in said.splitlines()} == {"postgres", "mlflow", "adminer"}
    assert "database system is ready to accept connections" in said


def test_of_services_that_are_well_there_is_nothing_to_explain(stack: Deployment) -> None:
    assert stack.ops("explain") == ""


def test_a_log_has_an_end(stack: Deployment) -> None:
    """Every request adds to it: the disk would be full one night."""
    for role in ("postgres", "mlflow", "adminer"):
        assert stack.container(role).attrs["HostConfig"]["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "3"}

"""A platform on a database that it did not create. This is about the plan: no such database is connected to here."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest
from pulumi.runtime import rpc

from components import Adminer, DeploymentError, PlatformArgs, PostgresOptions
from components.database import ExternalDatabase, Login, SslMode

from .deploy import IMAGES, METRICS, run_platform
from .fake_engine import CONTAINER, FakeEngine, plain

ME = "mlflow-postgres"


def login(user: str) -> Login:
    return Login(user=user, password=pulumi.Output.secret(f"password-of-{user}"))


def planned(**changes: Any) -> FakeEngine:
    """A platform on a foreign database, everything else that uses a database included."""
    server = ExternalDatabase(
        **{
            **{"host": "db.example.com", "port": 6432, "database": "runs"},
            **{name: login(name) for name in ("owner", "server", "readonly", "monitor")},
            **changes,
        }
    )
    return run_platform(
        FakeEngine(), database_server=server, sidecars=[Adminer()], metrics=METRICS, gc_after_days=30, sign_in=True
    )


def test_an_external_database_creates_no_postgresql() -> None:
    engine = planned()
    assert {name for name in engine.registered if name.startswith(f"{ME}-postgres")} == set(), (
        "neither component, password, volume, image nor container"
    )
    roles = {each.role for each in engine.of(CONTAINER).values() if not each.role.endswith("-courier")}
    assert roles == {"schema", "mlflow", "adminer", "exporter", "gc"}


def test_every_client_connects_to_the_external_database_as_its_own_role() -> None:
    engine = planned()
    stores = {
        role: engine.container(role).environment["MLFLOW_BACKEND_STORE_URI"] for role in ("schema", "mlflow", "gc")
    }
    assert stores == {
        "schema": "postgresql+mlflow://owner@db.example.com:6432/runs",
        "mlflow": "postgresql+mlflow://server@db.example.com:6432/runs",
        "gc": "postgresql+mlflow://server@db.example.com:6432/runs",
    }
    assert engine.container("schema").environment["MLFLOW_POSTGRES_USER"] == "server", "it grants the tables to it"
    exporter = engine.container("exporter").environment
    assert exporter["DATA_SOURCE_URI"].startswith("db.example.com:6432/runs?sslmode=verify-full&")
    assert exporter["DATA_SOURCE_USER"] == "monitor"
    assert engine.container("adminer").environment["MLFLOW_POSTGRES_HOST"] == "db.example.com"


def test_the_network_to_an_external_database_is_not_internal() -> None:
    assert planned().registered[f"{ME}-database"].inputs["internal"] is False


@pytest.mark.parametrize(
    ("tls", "variables"),
    [
        ({}, {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": "system"}),
        (
            {"ca_certificate": "-----BEGIN CERTIFICATE-----"},
            {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": "/run/secrets/database-ca.pem"},
        ),
        ({"sslmode": SslMode.REQUIRE}, {"PGSSLMODE": "require"}),
        ({"sslmode": SslMode.DISABLE}, {}),
    ],
    ids=str,
)
def test_the_certificate_is_verified_by_default(tls: dict[str, Any], variables: dict[str, str]) -> None:
    engine = planned(**tls)
    for role in ("schema", "mlflow", "gc"):
        environment = engine.container(role).environment
        assert {name: value for name, value in environment.items() if name.startswith("PGSSL")} == variables
        files = {each["file"] for each in engine.container(f"{role}-courier").inputs["uploads"]}
        assert ("/run/secrets/database-ca.pem" in files) == ("ca_certificate" in tls)


def test_the_outputs_name_the_external_database() -> None:
    exports = planned().exports
    assert plain(exports)["postgres_host"] == "db.example.com"
    assert plain(exports)["postgres_port"] == 6432
    assert (
        plain(exports)["backend_store_uri"] == "postgresql+psycopg://server:password-of-server@db.example.com:6432/runs"
    )
    assert rpc.is_rpc_secret(exports["backend_store_uri"])


def without_monitor() -> ExternalDatabase:
    owner, server, readonly = (login(name) for name in ("owner", "server", "readonly"))
    return ExternalDatabase(host="db.example.com", database="runs", owner=owner, server=server, readonly=readonly)


def test_the_port_of_an_external_database_is_not_published() -> None:
    server = without_monitor()
    with pytest.raises(DeploymentError, match=r"^\[database-port-not-ours\] postgres\.port is 5432: "):
        PlatformArgs(images=IMAGES, database_server=server, postgres=PostgresOptions(port=5432))


def test_metrics_of_an_external_database_need_a_monitor_login() -> None:
    server = without_monitor()
    with pytest.raises(
        DeploymentError, match=r"^\[monitor-login-missing\] metrics is .*database_server\.monitor is missing"
    ):
        PlatformArgs(images=IMAGES, database_server=server, metrics=METRICS)

"""The stack outputs, which other stacks read. Which of them are secret is in test_secrets.py."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from components import Adminer, MlflowOptions, PostgresOptions, Tls

from .deploy import METRICS, deploy, endpoint, everything
from .fake_engine import generated, plain

SERVER = generated("mlflow-postgres-postgres-password")
READONLY = generated("mlflow-postgres-postgres-readonly-password")
ALWAYS = {
    "tracking_url",
    "internal_tracking_url",
    "network_name",
    "postgres_host",
    "postgres_port",
    "postgres_database",
    "postgres_user",
    "postgres_password",
    "postgres_readonly_user",
    "postgres_readonly_password",
    "backend_store_uri",
    "mlflow_version",
}
# Which outputs each thing that can be switched on adds.
MORE: dict[str, tuple[dict[str, Any], set[str]]] = {
    "postgres": ({"postgres": PostgresOptions(port=5433)}, set()),
    "adminer": ({"sidecars": [Adminer(port=8081)]}, {"adminer_url"}),
    "front door": ({"endpoint": endpoint()}, set()),
    "metrics": ({"metrics": METRICS}, {"mlflow_metrics_url", "postgres_metrics_url"}),
    "sign-in": ({"sign_in": True}, {"admin_username", "admin_password"}),
}


def test_the_outputs_are_those_of_the_contract() -> None:
    engine = deploy(
        mlflow=MlflowOptions(version="3.17.2", port=5001), postgres=PostgresOptions(database="runs", user="tracker")
    )
    assert plain(engine.exports) == {
        "tracking_url": "http://127.0.0.1:5001",
        "internal_tracking_url": "http://mlflow:5000",
        "network_name": "mlflow-postgres-dev-tracking",
        "postgres_host": "postgres",
        "postgres_port": 5432,
        "postgres_database": "runs",
        "postgres_user": "tracker",
        "postgres_password": SERVER,
        "postgres_readonly_user": "tracker_readonly",
        "postgres_readonly_password": READONLY,
        "backend_store_uri": f"postgresql+psycopg://tracker:{SERVER}@postgres:5432/runs",
        "mlflow_version": "3.17.2",
    }


@pytest.mark.parametrize("on", [*product([False, True], repeat=len(MORE))], ids=str)
def test_an_output_exists_exactly_when_it_applies(on: tuple[bool, ...]) -> None:
    chosen = [more for more, there in zip(MORE.values(), on, strict=True) if there]
    engine = deploy(**{key: value for arguments, _ in chosen for key, value in arguments.items()})
    expected = ALWAYS.union(*(outputs for _, outputs in chosen))
    assert set(engine.exports) == expected, "an empty adminer_url would read as an address"


def test_with_adminer_its_address_is_an_output() -> None:
    exports = plain(
        deploy(sidecars=[Adminer(port=8081)], postgres=PostgresOptions(user="tracker", database="runs")).exports
    )
    assert exports["adminer_url"] == "http://127.0.0.1:8081/?pgsql=postgres&username=tracker&db=runs"


def test_adminer_and_a_published_database_are_named_by_their_own_address() -> None:
    exports = plain(everything(bind_address="192.0.2.7").exports)
    assert exports["tracking_url"] == "https://mlflow.example.com"
    assert exports["adminer_url"].startswith("http://127.0.0.1:8080/"), "nothing of theirs listens where MLflow does"
    assert (exports["postgres_host"], exports["postgres_port"]) == ("127.0.0.1", 5432)


def test_a_published_database_is_named_by_its_address_on_the_host() -> None:
    exports = plain(
        deploy(postgres=PostgresOptions(port=5433), bind_address="192.0.2.7", allow_open_access=True).exports
    )
    assert (exports["postgres_host"], exports["postgres_port"]) == ("192.0.2.7", 5433)
    assert exports["backend_store_uri"] == f"postgresql+psycopg://mlflow:{SERVER}@192.0.2.7:5433/mlflow"


def test_with_sign_in_the_administrator_is_named_with_the_password() -> None:
    exports = plain(deploy(sign_in=True).exports)
    password = generated("mlflow-postgres-sign-in-admin-password")
    assert (exports["admin_username"], exports["admin_password"]) == ("admin", password)


@pytest.mark.parametrize(
    ("door", "url"),
    [
        ({}, "https://mlflow.example.com"),
        ({"https_port": 8443}, "https://mlflow.example.com:8443"),
        ({"tls": Tls.OFF, "http_port": 8000}, "http://mlflow.example.com:8000"),
    ],
    ids=str,
)
def test_with_a_gateway_its_address_is_the_tracking_url(door: dict[str, Any], url: str) -> None:
    exports = plain(deploy(endpoint=endpoint(**door), bind_address="192.0.2.7", allow_open_access=True).exports)
    assert exports["tracking_url"] == url, "a certificate is made out to the name; past it MLflow has no port"
    assert exports["internal_tracking_url"] == "http://mlflow:5000", "a container needs no way through the door"


@pytest.mark.parametrize(
    ("bound", "reached"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("192.0.2.7", "192.0.2.7"),
        ("0.0.0.0", "127.0.0.1"),
        ("::1", "[::1]"),
        ("::", "[::1]"),
    ],
)
def test_the_urls_can_be_opened_whatever_address_is_bound(bound: str, reached: str) -> None:
    exports = deploy(bind_address=bound, allow_open_access=True, sidecars=[Adminer()]).exports
    assert exports["tracking_url"] == f"http://{reached}:5000"
    assert exports["adminer_url"].startswith(f"http://{reached}:8080/")


def test_the_host_of_the_database_is_a_plain_host() -> None:
    exports = plain(deploy(postgres=PostgresOptions(port=5432), bind_address="::1", allow_open_access=True).exports)
    assert exports["postgres_host"] == "::1", "libpq would look for a host that is called [::1]"
    assert exports["backend_store_uri"] == f"postgresql+psycopg://mlflow:{SERVER}@[::1]:5432/mlflow"


def test_the_platform_and_the_stack_have_the_same_outputs() -> None:
    engine = everything()
    assert engine.outputs["mlflow-postgres"] == [engine.exports]

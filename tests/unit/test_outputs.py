"""The stack outputs, which other stacks read. Which of them are secret is in test_secrets.py."""

from __future__ import annotations

import pytest

from .deploy import deploy, everything
from .fake_engine import PASSWORD, plain

ALWAYS = {
    "tracking_url",
    "internal_tracking_url",
    "network_name",
    "postgres_host",
    "postgres_port",
    "postgres_database",
    "postgres_user",
    "postgres_password",
    "backend_store_uri",
    "mlflow_version",
}


def test_the_outputs_are_those_of_the_contract() -> None:
    engine = deploy(mlflow_version="3.17.2", mlflow_port=5001, database="runs", user="tracker")
    assert plain(engine.exports) == {
        "tracking_url": "http://127.0.0.1:5001",
        "internal_tracking_url": "http://mlflow:5000",
        "network_name": "mlflow-postgres-dev-tracking",
        "postgres_host": "postgres",
        "postgres_port": 5432,
        "postgres_database": "runs",
        "postgres_user": "tracker",
        "postgres_password": "fake-password",
        "backend_store_uri": "postgresql+psycopg://tracker:fake-password@postgres:5432/runs",
        "mlflow_version": "3.17.2",
    }


def test_an_output_that_does_not_apply_is_absent() -> None:
    assert set(deploy().exports) == ALWAYS, "an empty adminer_url would read as an address"


def test_with_adminer_its_address_is_an_output() -> None:
    exports = plain(deploy(adminer_port=8081, user="tracker", database="runs").exports)
    assert set(exports) == {*ALWAYS, "adminer_url"}
    assert exports["adminer_url"] == "http://127.0.0.1:8081/?pgsql=postgres&username=tracker&db=runs"


def test_a_published_database_is_named_by_its_address_on_the_host() -> None:
    exports = plain(deploy(postgres_port=5433, bind_address="192.0.2.7").exports)
    assert (exports["postgres_host"], exports["postgres_port"]) == ("192.0.2.7", 5433)
    assert exports["backend_store_uri"] == "postgresql+psycopg://mlflow:fake-password@192.0.2.7:5433/mlflow"


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
def test_the_tracking_url_can_be_opened_whatever_address_is_bound(bound: str, reached: str) -> None:
    assert deploy(bind_address=bound).exports["tracking_url"] == f"http://{reached}:5000"


def test_the_host_of_the_database_is_a_host_and_no_part_of_a_url() -> None:
    exports = plain(deploy(postgres_port=5432, bind_address="::1").exports)
    assert exports["postgres_host"] == "::1", "libpq would look for a host that is called [::1]"
    assert exports["backend_store_uri"] == f"postgresql+psycopg://mlflow:{PASSWORD}@[::1]:5432/mlflow"


def test_the_platform_says_the_same_of_itself_as_the_stack() -> None:
    engine = everything()
    assert engine.outputs["mlflow-postgres"] == [engine.exports]

"""MLflow gets our stores for its server, and makes its own where ours are not meant."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as Registry
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as Tracking

from mlflow_postgres.database import merges, store, stores

from . import CHECKOUT
from .postgresql import Server

ARTIFACTS = "mlflow-artifacts:/"


@pytest.fixture
def address(postgresql: Server, database: str) -> Iterator[str]:
    address = postgresql.store_uri(database)
    yield address
    for kind in (Tracking, Registry):
        engine = kind._engine_map.pop(address, None)
        if engine:
            engine.dispose()


def test_mlflow_finds_both_by_its_entry_points() -> None:
    points = tomllib.loads((CHECKOUT / "server" / "pyproject.toml").read_text())["project"]["entry-points"]
    assert points["mlflow.tracking_store"] == {"postgresql": "mlflow_postgres.database.store:tracking_store"}
    assert points["mlflow.model_registry_store"] == {"postgresql": "mlflow_postgres.database.store:registry_store"}


def test_the_server_has_ours_whose_sessions_merge(address: str) -> None:
    for made in (store.tracking_store(address, ARTIFACTS), store.registry_store(address)):
        assert type(made) in (stores.Tracking, stores.Registry)
        with made.ManagedSessionMaker() as session:
            assert isinstance(session, merges.MergingSession)


def test_a_client_has_mlflows(address: str) -> None:
    assert type(store.tracking_store(address)) is Tracking


@pytest.mark.parametrize("name", ["_MLFLOW_SERVER_READ_REPLICA_BACKEND_STORE", "MLFLOW_ENABLE_WORKSPACES"])
def test_with_a_setting_for_other_stores_they_are_mlflows(
    address: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, address if "REPLICA" in name else "true")
    for made in (store.tracking_store(address, ARTIFACTS), store.registry_store(address)):
        assert type(made).__module__.startswith("mlflow.store.")


def test_every_method_that_is_asked_again_is_mlflows() -> None:
    for name in stores.ASKED_AGAIN:
        assert getattr(stores.Tracking, name).__wrapped__ is getattr(Tracking, name)


def test_a_parameter_is_compared_as_the_database_stores_it(address: str) -> None:
    """A client that got no answer logs it again."""
    made: Any = store.tracking_store(address, ARTIFACTS)
    run_id = made.create_run("0", "somebody", 1, [], "run").info.run_id
    for given in ("a\0b", "a\ud800b", "a\ufffdb"):
        made.log_batch(run_id, [Metric("m", 1.0, 1, 1)], [Param("p", given)], [])
    assert made.get_run(run_id).data.params == {"p": "a\ufffdb"}
    with pytest.raises(MlflowException, match="Changing param values"):
        made.log_batch(run_id, [], [Param("p", "another")], [])

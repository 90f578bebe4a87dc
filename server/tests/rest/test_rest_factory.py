"""`mlflow server --app-name postgresql` gets our application, or MLflow's own where ours was not compared."""

from __future__ import annotations

import mlflow
import pytest
from mlflow.server import fastapi_app

from mlflow_postgres.rest import factory
from mlflow_postgres.rest.application import Application


@pytest.fixture(autouse=True)
def addressed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_BACKEND_STORE_URI", "postgresql+mlflow://mlflow@postgres:5432/mlflow")
    monkeypatch.setenv("REST_CONNECTIONS", "4")


def test_our_application_is_in_front(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(factory.create_app(), Application)
    monkeypatch.setenv("MLFLOW_ENABLE_WORKSPACES", "false")
    assert isinstance(factory.create_app(), Application), "this is what `mlflow server` sets"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MLFLOW_ENABLE_WORKSPACES", "true"),
        ("MLFLOW_TRACE_ARCHIVAL_CONFIG", "/config.yaml"),
        ("_MLFLOW_SERVER_ARTIFACTS_ONLY", "true"),
    ],
)
def test_a_setting_that_changes_answers_leaves_mlflow_alone(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert factory.create_app() is fastapi_app.app


def test_another_version_leaves_mlflow_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow, "__version__", "3.6.0")
    assert factory.create_app() is fastapi_app.app

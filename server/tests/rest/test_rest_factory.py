"""`mlflow server --app-name postgresql` gets our application, or MLflow's own where ours was not compared."""

from __future__ import annotations

from types import SimpleNamespace

import mlflow
import mlflow.server
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
        ("MLFLOW_SQL_TRACE_ROLLUPS_ENABLED", "true"),
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


@pytest.mark.parametrize(
    ("function", "uri"),
    [
        ("somebody.else:authenticate", "postgresql+mlflow://mlflow@postgres:5432/mlflow"),
        ("basic", "postgresql+mlflow://mlflow@postgres:5432/users"),
    ],
)
def test_users_of_another_kind_or_database_leave_mlflow_alone(
    monkeypatch: pytest.MonkeyPatch, function: str, uri: str
) -> None:
    auth = SimpleNamespace(
        DEFAULT_AUTHORIZATION_FUNCTION="basic",
        auth_config=SimpleNamespace(authorization_function=function, database_uri=uri),
        create_app=lambda application: application,
    )
    monkeypatch.setattr(mlflow.server, "auth", auth, raising=False)
    made: object = factory.create_app_with_sign_in()
    assert made is mlflow.server.app

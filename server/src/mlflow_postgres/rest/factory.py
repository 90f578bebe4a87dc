"""The applications that `mlflow server --app-name` starts, by MLflow's entry point `mlflow.app`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from contract import environment

if TYPE_CHECKING:
    from types import ModuleType

    from starlette.types import ASGIApp

    from .database import Database

# Nothing else above: `mlflow server` imports this module only to see that these are functions.


def create_app() -> ASGIApp:
    """MLflow's application, and ours in front of it."""
    from mlflow.server import fastapi_app

    from ..metrics.requests import measured

    alone: ASGIApp = fastapi_app.app
    if not _is_compared():
        return measured(alone)
    from .application import Application

    return measured(Application(alone, _database()))


def create_app_with_sign_in() -> ASGIApp:
    """The same, with MLflow's basic authentication."""
    from mlflow.server import app, auth

    from ..metrics.requests import measured

    is_ours = _is_compared() and _is_read_here(auth)
    if is_ours:
        from . import stores

        stores.install(auth)
    alone: ASGIApp = auth.create_app(app)
    if not is_ours:
        return measured(alone)
    from .application import Application
    from .sign_in import SignIn

    return measured(Application(alone, _database(), SignIn(app, auth)))


def _is_read_here(auth: ModuleType) -> bool:
    """Whether users have names and passwords, and are in the same database as the runs."""
    is_basic: bool = auth.auth_config.authorization_function == auth.DEFAULT_AUTHORIZATION_FUNCTION
    return is_basic and auth.auth_config.database_uri == os.environ[environment.STORE_URI]


def _is_compared() -> bool:
    """Whether the calls were compared on this version, and with the settings that change their answers as they are."""
    import mlflow

    from .compared import VERSIONS

    # `mlflow server` sets the first one to `false`.
    changing = (
        *("MLFLOW_ENABLE_WORKSPACES", "MLFLOW_TRACE_ARCHIVAL_CONFIG", "_MLFLOW_SERVER_ARTIFACTS_ONLY"),
        "MLFLOW_SQL_TRACE_ROLLUPS_ENABLED",
    )
    return mlflow.__version__ in VERSIONS and all(os.environ.get(name, "false") == "false" for name in changing)


def _database() -> Database:
    from .database import Database

    # libpq does not know SQLAlchemy's names of dialects.
    _, _, address = os.environ[environment.STORE_URI].partition("://")
    return Database(f"postgresql://{address}", int(os.environ[environment.REST_CONNECTIONS]))

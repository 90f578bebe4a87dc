"""Who may do what, by MLflow's own code: it authenticates and authorises the request as Flask would."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

import anyio.to_thread
from flask import Flask
from mlflow.protos import model_registry_pb2, service_pb2
from starlette.middleware.wsgi import build_environ
from starlette.types import Scope

from ..database import run_info
from .arguments import Arguments
from .errors import NotServed
from .searches import Search

_NAMING_MODELS: Final = (service_pb2.GetRun, service_pb2.SearchRuns, service_pb2.GetMetricHistory)
"""MLflow changes an answer of these only if it names models. The application hands such answers on."""
_OF_ADMINISTRATORS: Final = (
    service_pb2.SearchExperiments,
    model_registry_pb2.GetRegisteredModel,
    model_registry_pb2.SearchRegisteredModels,
    model_registry_pb2.GetModelVersion,
    model_registry_pb2.GetLatestVersions,
    model_registry_pb2.SearchModelVersions,
    model_registry_pb2.GetModelVersionByAlias,
)
"""MLflow changes no answer of these to an administrator."""


class SignIn:
    """MLflow's sign-in."""

    def __init__(self, flask_app: Flask, auth: ModuleType) -> None:
        """`auth` is `mlflow.server.auth`, after it has registered its functions at the application."""
        self._flask_app = flask_app
        self._auth = auth
        functions: dict[type, Callable[..., object]] = auth.AFTER_REQUEST_PATH_HANDLERS
        without_effect = {functions.get(call) for call in _NAMING_MODELS}
        self._afterwards = {
            route: function for route, function in auth.AFTER_REQUEST_HANDLERS.items() if function not in without_effect
        }
        self._for_others = {functions.get(call) for call in _OF_ADMINISTRATORS}

    async def permit(self, scope: Scope, body: bytes, arguments: Arguments) -> Arguments:
        """What the sender may ask for. Raises `NotServed` if that is nothing: MLflow refuses it in its words.

        The same for a call after which MLflow changes the answer for the sender, or grants a permission.
        """
        afterwards = self._afterwards.get((scope["path"], scope["method"]))
        # It asks the database, and computes a password's hash, which takes half a second.
        return await anyio.to_thread.run_sync(self._permit, build_environ(scope, body), arguments, afterwards)

    def _permit(
        self, environ: dict[str, Any], arguments: Arguments, afterwards: Callable[..., object] | None
    ) -> Arguments:
        with self._flask_app.request_context(environ), run_info.alone():
            try:
                refusal = self._flask_app.preprocess_request()
                if refusal is not None or not self._is_settled(afterwards):
                    raise NotServed
                if isinstance(arguments, Search):
                    arguments.experiment_ids = self._auth.filter_experiment_ids(list(arguments.experiment_ids))
            except Exception:
                raise NotServed from None
        return arguments

    def _is_settled(self, afterwards: Callable[..., object] | None) -> bool:
        """Whether MLflow does nothing after the call that matters to its sender."""
        return afterwards is None or (afterwards in self._for_others and bool(self._auth.sender_is_admin()))

"""Who may do what, by MLflow's own code: it authenticates and authorises the request as Flask would."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import anyio.to_thread
from flask import Flask
from starlette.middleware.wsgi import build_environ
from starlette.types import Scope

from ..database import run_info
from .arguments import Arguments
from .errors import NotServed
from .searches import Search


class SignIn:
    """MLflow's sign-in."""

    def __init__(self, flask_app: Flask, auth: ModuleType) -> None:
        """`auth` is `mlflow.server.auth`, after it has registered its functions at the application."""
        self._flask_app = flask_app
        self._auth = auth

    async def permit(self, scope: Scope, body: bytes, arguments: Arguments) -> Arguments:
        """What the sender may ask for. Raises `NotServed` if that is nothing: MLflow refuses it in its words."""
        # It asks the database, and computes a password's hash, which takes half a second.
        return await anyio.to_thread.run_sync(self._permit, build_environ(scope, body), arguments)

    def _permit(self, environ: dict[str, Any], arguments: Arguments) -> Arguments:
        with self._flask_app.request_context(environ), run_info.alone():
            try:
                refusal = self._flask_app.preprocess_request()
                if refusal is None and isinstance(arguments, Search):
                    arguments.experiment_ids = self._auth.filter_experiment_ids(list(arguments.experiment_ids))
            except Exception:
                raise NotServed from None
        if refusal is not None:
            raise NotServed
        return arguments

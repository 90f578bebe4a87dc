"""Who may do what, by MLflow's own code: it authenticates and authorises the request as Flask would.

Each request is authenticated, and its sender's row, roles and permissions are read. MLflow decides by these rows alone.
So it decides once for the same rows, and again as soon as one of them has changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from types import ModuleType
from typing import Any, Final

import anyio.to_thread
from flask import Flask
from mlflow.protos import model_registry_pb2, service_pb2
from starlette.middleware.wsgi import build_environ
from starlette.types import Scope
from werkzeug.datastructures import Authorization

from ..application.sign_in_headers import names_somebody
from . import artifacts, batches, experiments, histories, runs, snapshots, tags
from .arguments import Arguments
from .database import Database
from .errors import NotServed
from .searches import Search
from .snapshots import Snapshot

_OF_A_RUN = (
    *(batches.LogBatch, batches.LogMetric, batches.LogParam, batches.SetTag, tags.DeleteTag),
    *(runs.Update, runs.Get, histories.Get, artifacts.List),
)
_OF_AN_EXPERIMENT = (runs.Create, experiments.Get)
_INDECISIVE = (b"authorization", b"content-length")
"""Headers of which the decision does not depend, once the sender is known."""
_MOST_DECISIONS = 10_000
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
    service_pb2.GetTrace,
    service_pb2.GetTraceInfoV3,
    service_pb2.BatchGetTraces,
    service_pb2.BatchGetTraceInfos,
    service_pb2.SearchTracesV3,
    service_pb2.StartTraceV3,
)
"""MLflow changes no answer of these to an administrator."""


class SignIn:
    """MLflow's sign-in. It authenticates each request, and authorises it for rows that have just been read."""

    def __init__(self, flask_app: Flask, auth: ModuleType) -> None:
        """`auth` is `mlflow.server.auth`, after it has registered its functions at the application."""
        self._flask_app = flask_app
        self._auth = auth
        functions: dict[type, Callable[..., object]] = auth.AFTER_REQUEST_PATH_HANDLERS
        without_effect = {functions.get(call) for call in _NAMING_MODELS}
        self._afterwards = {
            route: function for route, function in auth.AFTER_REQUEST_HANDLERS.items() if function not in without_effect
        }
        self._afterwards_by_pattern: dict[tuple[re.Pattern[str], str], Callable[..., object]] = (
            auth.PARAMETERIZED_AFTER_REQUEST_HANDLERS
        )
        self._for_others = {functions.get(call) for call in _OF_ADMINISTRATORS}
        self._password_hashes: dict[str, str] = {}
        """The last one that was read of each user."""
        self._decisions: dict[Hashable, Sequence[str]] = {}
        """What MLflow has permitted, by all that it knew. Other rows are another decision, so nothing is outdated."""

    async def permit(self, database: Database, scope: Scope, body: bytes, arguments: Arguments) -> Arguments:
        """What the sender may ask for. Raises `NotServed` if that is nothing: MLflow refuses it in its words.

        The same for a call after which MLflow changes the answer for the sender, or grants a permission.
        """
        username, password = _credentials(scope)
        snapshot = await snapshots.read(database, username, getattr(arguments, "run_id", None))
        self._forget_former_password(snapshot)
        try:
            with snapshots.alone(snapshot):
                if not self._auth._authenticate_cached(username, password):
                    raise NotServed
                experiment_ids = self._decision(scope, body, arguments, snapshot)
        except snapshots.AsksDatabase:
            # Such as for a password that is not cached: its hash takes half a second.
            experiment_ids = await anyio.to_thread.run_sync(self._decide, build_environ(scope, body), arguments)
        if isinstance(arguments, Search):
            arguments.experiment_ids = experiment_ids
        return arguments

    def _forget_former_password(self, snapshot: Snapshot) -> None:
        """MLflow caches a correct password, also one that another worker has changed since."""
        if self._password_hashes.get(snapshot.username) != snapshot.password_hash:
            self._auth._invalidate_user_auth_cache(snapshot.username)
            self._password_hashes[snapshot.username] = snapshot.password_hash

    def _decision(self, scope: Scope, body: bytes, arguments: Arguments, snapshot: Snapshot) -> Sequence[str]:
        """MLflow's decision, or the same one for a request that is the same to it."""
        named = _named(arguments, snapshot)
        if named is None:
            return self._decide(build_environ(scope, body), arguments)
        headers = tuple([header for header in scope["headers"] if header[0] not in _INDECISIVE])
        known = (scope["method"], scope["path"], headers, named, snapshot.rights)
        experiment_ids = self._decisions.get(known)
        if experiment_ids is None:
            experiment_ids = self._decide(build_environ(scope, body), arguments)
            if len(self._decisions) >= _MOST_DECISIONS:
                self._decisions.clear()
            self._decisions[known] = experiment_ids
        return experiment_ids

    def _decide(self, environ: dict[str, Any], arguments: Arguments) -> Sequence[str]:
        """The experiments to search, for a search. Raises `NotServed`."""
        afterwards = self._after(environ["PATH_INFO"], environ["REQUEST_METHOD"])
        with self._flask_app.request_context(environ):
            try:
                refusal = self._flask_app.preprocess_request()
                if refusal is not None or not self._is_settled(afterwards):
                    raise NotServed
                if isinstance(arguments, Search):
                    permitted: Sequence[str] = self._auth.filter_experiment_ids(list(arguments.experiment_ids))
                    return permitted
            except Exception:
                raise NotServed from None
        return ()

    def _after(self, path: str, method: str) -> Callable[..., object] | None:
        """What MLflow does after a call, if that may matter."""
        by_pattern = self._afterwards_by_pattern.items()
        patterns = (function for (pattern, of), function in by_pattern if of == method and pattern.fullmatch(path))
        return self._afterwards.get((path, method)) or next(patterns, None)

    def _is_settled(self, afterwards: Callable[..., object] | None) -> bool:
        """Whether MLflow does nothing after the call that matters to its sender."""
        return afterwards is None or (afterwards in self._for_others and bool(self._auth.sender_is_admin()))


def _credentials(scope: Scope) -> tuple[str, str]:
    """The name and the password. Raises `NotServed` if there are none, or several."""
    values = [value for name, value in scope["headers"] if name == b"authorization"]
    authorization = Authorization.from_header(values[0].decode("latin-1")) if len(values) == 1 else None
    if authorization is None or not names_somebody(authorization):
        raise NotServed
    return str(authorization.username), str(authorization.password)


def _named(arguments: Arguments, snapshot: Snapshot) -> Hashable:
    """The experiments that the request is about. MLflow authorises these calls by nothing else that they contain."""
    if isinstance(arguments, Search):
        return tuple(arguments.experiment_ids)
    if isinstance(arguments, _OF_AN_EXPERIMENT):
        return arguments.experiment_id
    if isinstance(arguments, _OF_A_RUN):
        return snapshot.experiment_id
    return None

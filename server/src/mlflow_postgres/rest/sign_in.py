"""Who may do what, by MLflow's own code: it authenticates and authorises the request as Flask would.

Each request is authenticated, and its sender's row, roles and permissions are read. MLflow decides by these rows alone.
So it decides once for the same rows, and again as soon as one of them has changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from types import ModuleType
from typing import Any, Final, NamedTuple

import anyio.to_thread
import msgspec
from flask import Flask
from mlflow.protos import model_registry_pb2, service_pb2
from starlette.middleware.wsgi import build_environ
from starlette.types import Scope
from werkzeug.datastructures import Authorization

from ..application.sign_in_headers import names_somebody
from . import (
    answers,
    artifacts,
    batches,
    experiment_searches,
    experiments,
    histories,
    inputs,
    run_stages,
    runs,
    snapshots,
    tags,
)
from .application import Permitted
from .arguments import Arguments
from .database import Database
from .errors import NotServed
from .searches import Search
from .snapshots import Snapshot

_OF_A_RUN = (
    *(batches.LogBatch, batches.LogMetric, batches.LogParam, batches.SetTag, tags.DeleteTag),
    *(runs.Update, runs.Get, run_stages.Delete, run_stages.Restore, inputs.LogInputs, histories.Get, artifacts.List),
)
_OF_AN_EXPERIMENT = (runs.Create, experiments.Get)
_INDECISIVE = (b"authorization", b"content-length")
"""Headers of which the decision does not depend, once the sender is known."""
_MOST_DECISIONS = 10_000
_LARGEST_DECISION = 10_000
"""Bytes of memory. A sender can make each request another one, so without this they could fill the memory."""
_A_MODEL: Final = {"outputs": {"model_outputs": [{"model_id": "m"}]}}
_NAMING_MODELS: Final[dict[type, dict[str, Any]]] = {
    service_pb2.GetRun: {"run": _A_MODEL},
    service_pb2.SearchRuns: {"runs": [_A_MODEL]},
    service_pb2.GetMetricHistory: {"metrics": [{"model_id": "m"}]},
}
"""MLflow changes an answer of these only if it names models, as these examples do."""
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


class Decision(NamedTuple):
    """What MLflow permits."""

    experiment_ids: Sequence[str]
    """Those to search, for a search."""
    sees_all: bool
    """Whether MLflow changes no answer to this sender."""


class _Named(msgspec.Struct):
    experiment_id: str


class _Experiments(msgspec.Struct, omit_defaults=True):
    """What MLflow looks at in a page of experiments."""

    experiments: list[_Named] = []
    next_page_token: str = ""


_experiments = msgspec.json.Decoder(_Experiments).decode


class SignIn:
    """MLflow's sign-in. It authenticates each request, and authorises it for rows that have just been read."""

    def __init__(self, flask_app: Flask, auth: ModuleType) -> None:
        """`auth` is `mlflow.server.auth`, after it has registered its functions at the application."""
        self._flask_app = flask_app
        self._auth = auth
        functions: dict[type, Callable[..., object]] = auth.AFTER_REQUEST_PATH_HANDLERS
        self._naming_models = {functions[call]: example for call, example in _NAMING_MODELS.items()}
        self._filter_experiments = functions[service_pb2.SearchExperiments]
        self._afterwards: dict[tuple[str, str], Callable[..., object]] = auth.AFTER_REQUEST_HANDLERS
        self._afterwards_by_pattern: dict[tuple[re.Pattern[str], str], Callable[..., object]] = (
            auth.PARAMETERIZED_AFTER_REQUEST_HANDLERS
        )
        self._for_others = {functions.get(call) for call in _OF_ADMINISTRATORS}
        self._password_hashes: dict[str, str] = {}
        """The last one that was read of each user."""
        self._decisions: dict[Hashable, Decision] = {}
        """What MLflow has permitted, by all that it knew. Other rows are another decision, so nothing is outdated."""

    async def permit(self, database: Database, scope: Scope, body: bytes, arguments: Arguments) -> Permitted:
        """Raises `NotServed` if the sender may do nothing: MLflow refuses it in its words.

        The same for a call after which MLflow may change the answer for the sender, or grants a permission.
        """
        username, password = _credentials(scope)
        run_id = arguments.run_id if isinstance(arguments, _OF_A_RUN) else None
        snapshot = await snapshots.read(database, username, run_id)
        self._forget_former_password(snapshot)
        try:
            with snapshots.alone(snapshot):
                if not self._auth._authenticate_cached(username, password):
                    raise NotServed
                decision = self._decision(scope, body, arguments, snapshot)
        except snapshots.AsksDatabase:
            # Such as for a password that is not cached: its hash takes half a second.
            decision = await anyio.to_thread.run_sync(self._decide, build_environ(scope, body), arguments)
        if isinstance(arguments, Search):
            arguments.experiment_ids = decision.experiment_ids

        def is_whole(answer: bytes) -> bool:
            if decision.sees_all:
                return True
            if isinstance(arguments, experiment_searches.Search):
                return self._sees_experiments(build_environ(scope, body), snapshot, answer)
            return not any(field in answer for field in answers.MODELS)

        return Permitted(arguments, is_whole)

    def _forget_former_password(self, snapshot: Snapshot) -> None:
        """MLflow caches a correct password, also one that another worker has changed since."""
        if self._password_hashes.get(snapshot.username) != snapshot.password_hash:
            self._auth._invalidate_user_auth_cache(snapshot.username)
            self._password_hashes[snapshot.username] = snapshot.password_hash

    def _decision(self, scope: Scope, body: bytes, arguments: Arguments, snapshot: Snapshot) -> Decision:
        """MLflow's decision, or the same one for a request that is the same to it."""
        headers = tuple([header for header in scope["headers"] if header[0] not in _INDECISIVE])
        named = _named(arguments, snapshot)
        known = (scope["method"], scope["path"], headers, named, snapshot.rights)
        decision = self._decisions.get(known)
        if decision is None:
            decision = self._decide(build_environ(scope, body), arguments)
            if named is not None and _size(headers, named) <= _LARGEST_DECISION:
                if len(self._decisions) >= _MOST_DECISIONS:
                    self._decisions.clear()
                self._decisions[known] = decision
        return decision

    def _decide(self, environ: dict[str, Any], arguments: Arguments) -> Decision:
        """Raises `NotServed`."""
        afterwards = self._after(environ["PATH_INFO"], environ["REQUEST_METHOD"])
        with self._flask_app.request_context(environ):
            try:
                refusal = self._flask_app.preprocess_request()
                if refusal is not None:
                    raise NotServed
                sees_all = self._sees_all(afterwards)
                permitted: Sequence[str] = ()
                if isinstance(arguments, Search):
                    permitted = self._auth.filter_experiment_ids(list(arguments.experiment_ids))
            except Exception:
                raise NotServed from None
        return Decision(permitted, sees_all)

    def _after(self, path: str, method: str) -> Callable[..., object] | None:
        """What MLflow does after a call."""
        by_pattern = self._afterwards_by_pattern.items()
        patterns = (function for (pattern, of), function in by_pattern if of == method and pattern.fullmatch(path))
        return self._afterwards.get((path, method)) or next(patterns, None)

    def _sees_all(self, afterwards: Callable[..., object] | None) -> bool:
        """Whether MLflow does nothing after the call that matters to its sender.

        If not, the answer tells. Raises `NotServed` where it does not.
        """
        if afterwards is None:
            return True
        if afterwards in self._naming_models:
            return self._is_kept(afterwards, self._naming_models[afterwards])
        if afterwards in self._for_others and self._auth.sender_is_admin():
            return True
        if afterwards is self._filter_experiments:
            return False
        raise NotServed

    def _is_kept(self, afterwards: Callable[..., object], answer: dict[str, Any]) -> bool:
        """Whether MLflow leaves an answer as it is."""
        response: Any = self._flask_app.json.response(answer)
        afterwards(response)
        return bool(response.json == answer)

    def _sees_experiments(self, environ: dict[str, Any], snapshot: Snapshot, answer: bytes) -> bool:
        """Whether the sender may read all experiments of a page. MLflow fills one in which some are missing."""
        page = msgspec.to_builtins(_experiments(answer))
        try:
            with snapshots.alone(snapshot), self._flask_app.request_context(environ):
                return self._is_kept(self._filter_experiments, page)
        except (snapshots.AsksDatabase, Exception):
            return False


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
    return () if isinstance(arguments, experiment_searches.Search) else None


def _size(headers: Sequence[tuple[bytes, bytes]], named: Hashable) -> int:
    """The memory that is taken, about."""
    ids = len(named) if isinstance(named, tuple) else 1
    return 70 * ids + sum(130 + len(name) + len(value) for name, value in headers)

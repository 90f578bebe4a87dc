"""The calls that are answered here, by method and path."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar, get_origin, get_type_hints
from urllib.parse import parse_qsl

import msgspec
from mlflow.protos import model_registry_pb2, service_pb2
from mlflow.server.handlers import _get_ajax_path, get_service_endpoints
from mlflow.tracing.utils.otlp import OTLP_TRACES_PATH

from . import (
    aliases,
    artifacts,
    batches,
    datasets,
    experiment_searches,
    experiments,
    exports,
    histories,
    inputs,
    model_versions,
    registered_models,
    run_stages,
    runs,
    sampled_histories,
    searches,
    tags,
    trace_searches,
    trace_tags,
    traces,
)
from .arguments import Arguments, OfRun
from .database import Database
from .errors import NotServed

_A = TypeVar("_A", bound=Arguments)


@dataclass(frozen=True)
class Call:
    """A call, and how its arguments are read."""

    is_read: bool
    """Whether it is a GET: some have a path with POST as well."""

    arguments: Callable[[bytes, bytes], Arguments]
    """From the query and the body. Raises `NotServed`."""
    answer: Callable[[Database, Any], Awaitable[bytes]]
    """The body of its answer. Raises `NotServed` or `Lost`."""
    media_type: bytes = b"application/json"
    """Of its answer, and of a body."""


@dataclass(frozen=True)
class Route:
    """A path of a call. Metrics of requests have it as their route."""

    path: str
    call: Call
    is_application: bool = True
    """By this, metrics tell the requests that are answered here from MLflow's."""


def _post(arguments: type[_A], answer: Callable[[Database, _A], Awaitable[bytes]]) -> Call:
    """A call with a body in JSON."""
    decode = msgspec.json.Decoder(arguments).decode

    def read(query: bytes, body: bytes) -> _A:
        # PostgreSQL stores no NUL.
        if query or b"\\u0000" in body:
            raise NotServed
        try:
            return _checked(decode(body))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise NotServed from None

    return Call(False, read, answer)


def _get(arguments: type[_A], answer: Callable[[Database, _A], Awaitable[bytes]]) -> Call:
    """A call with its arguments in the query. Those that are lists are given once for each item."""
    lists = {name for name, kind in get_type_hints(arguments).items() if get_origin(kind) is Sequence}

    def read(query: bytes, body: bytes) -> _A:
        try:
            given = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict")
            listed: dict[str, list[str]] = {name: [] for name, _ in given if name in lists}
            for name, value in given:
                if name in lists:
                    listed[name].append(value)
            values = dict(given) | listed
            is_repeated = len(values) - len(listed) + sum(map(len, listed.values())) < len(given)
            if body or is_repeated or any("\0" in value for _, value in given):
                raise NotServed
            found = msgspec.convert(values, arguments, strict=False)
            # Here, 5.0 is an integer too.
            if any(str(number) != values[name] for name in values if type(number := getattr(found, name)) is int):
                raise NotServed
            return _checked(found)
        except (msgspec.MsgspecError, ValueError):
            raise NotServed from None

    return Call(True, read, answer)


def _checked(arguments: _A) -> _A:
    if isinstance(arguments, OfRun):
        arguments.check()
    return arguments


_CALLS = {
    service_pb2.CreateRun: _post(runs.Create, runs.create),
    service_pb2.UpdateRun: _post(runs.Update, runs.update),
    service_pb2.GetRun: _get(runs.Get, runs.get),
    service_pb2.DeleteRun: _post(run_stages.Delete, run_stages.delete),
    service_pb2.RestoreRun: _post(run_stages.Restore, run_stages.restore),
    service_pb2.SearchRuns: _post(searches.Search, searches.search),
    service_pb2.LogBatch: _post(batches.LogBatch, batches.log_batch),
    service_pb2.LogMetric: _post(batches.LogMetric, batches.log_metric),
    service_pb2.LogParam: _post(batches.LogParam, batches.log_parameter),
    service_pb2.LogInputs: _post(inputs.LogInputs, inputs.log_inputs),
    service_pb2.ListArtifacts: _get(artifacts.List, artifacts.list_artifacts),
    service_pb2.SetTag: _post(batches.SetTag, batches.set_tag),
    service_pb2.DeleteTag: _post(tags.DeleteTag, tags.delete_tag),
    service_pb2.GetExperiment: _get(experiments.Get, experiments.get),
    service_pb2.GetExperimentByName: _get(experiments.GetByName, experiments.get_by_name),
    service_pb2.SearchExperiments: _post(experiment_searches.Search, experiment_searches.search),
    service_pb2.SetExperimentTag: _post(experiments.SetTag, experiments.set_tag),
    service_pb2.GetMetricHistoryBulkInterval: _get(sampled_histories.Get, sampled_histories.get),
    service_pb2.GetMetricHistory: _get(histories.Get, histories.get),
    service_pb2.SearchTracesV3: _post(trace_searches.Search, trace_searches.search),
    service_pb2.GetTrace: _get(traces.Get, traces.get),
    service_pb2.GetTraceInfoV3: _get(traces.GetInfo, traces.get_info),
    service_pb2.BatchGetTraces: _get(traces.BatchGet, traces.batch_get),
    service_pb2.BatchGetTraceInfos: _post(traces.BatchGet, traces.batch_get_infos),
    service_pb2.SetTraceTag: _post(trace_tags.Set, trace_tags.set_tag),
    service_pb2.SetTraceTagV3: _post(trace_tags.Set, trace_tags.set_tag),
    service_pb2.DeleteTraceTag: _post(trace_tags.Delete, trace_tags.delete_tag),
    service_pb2.DeleteTraceTagV3: _post(trace_tags.Delete, trace_tags.delete_tag),
    model_registry_pb2.GetRegisteredModel: _get(registered_models.Get, registered_models.get),
    model_registry_pb2.SearchRegisteredModels: _get(registered_models.Search, registered_models.search),
    model_registry_pb2.CreateRegisteredModel: _post(registered_models.Create, registered_models.create),
    model_registry_pb2.SetRegisteredModelTag: _post(registered_models.SetTag, registered_models.set_tag),
    model_registry_pb2.GetModelVersion: _get(model_versions.Get, model_versions.get),
    model_registry_pb2.GetLatestVersions: _post(model_versions.GetLatest, model_versions.get_latest),
    model_registry_pb2.GetModelVersionDownloadUri: _get(model_versions.Get, model_versions.get_download_uri),
    model_registry_pb2.SearchModelVersions: _get(model_versions.Search, model_versions.search),
    model_registry_pb2.SetModelVersionTag: _post(model_versions.SetTag, model_versions.set_tag),
    model_registry_pb2.GetModelVersionByAlias: _get(aliases.Get, aliases.get),
    model_registry_pb2.SetRegisteredModelAlias: _post(aliases.Set, aliases.set_alias),
}
_ALSO_READ = {service_pb2.SearchExperiments: _get(experiment_searches.Search, experiment_searches.search)}
"""Calls of the above that are a GET as well."""
_OF_THE_UI = {
    "/mlflow/metrics/get-history-bulk": _get(histories.GetBulk, histories.get_bulk),
    "/mlflow/experiments/search-datasets": _post(datasets.Search, datasets.search),
}
"""Calls that MLflow serves for its UI alone."""
_EXPORT = Call(False, exports.read, exports.export, b"application/x-protobuf")
_SERVICES = (service_pb2.MlflowService, model_registry_pb2.ModelRegistryService)


class Routes:
    """The calls by method and path."""

    _OF_TRACE: Final = re.compile(r"(.*/traces/)([0-9A-Za-z][0-9A-Za-z_-]{0,49})(/tags|)")

    def __init__(self) -> None:
        self._routes = routes()
        # MLflow knows it without its prefix alone.
        self._routes["POST", OTLP_TRACES_PATH] = Route(OTLP_TRACES_PATH, _EXPORT)

    def find(self, method: str, path: str) -> tuple[Route, str] | None:
        """The call, and the id of the trace that its path names."""
        route = self._routes.get((method, path))
        if route is not None:
            return route, ""
        found = self._OF_TRACE.fullmatch(path)
        if found is None:
            return None
        before, trace_id, after = found.groups()
        named = [self._routes.get((method, f"{before}<{name}>{after}")) for name in ("trace_id", "request_id")]
        return next(((route, trace_id) for route in named if route is not None), None)


def routes() -> dict[tuple[str, str], Route]:
    """By method and path, on all paths on which MLflow serves the call."""
    found = {
        (method, path): Route(path, call)
        for service in _SERVICES
        for calls in (_CALLS, _ALSO_READ)
        for path, call, methods in get_service_endpoints(service, calls.get)
        if call is not None
        for method in methods
        if call.is_read == (method == "GET")
    }
    for name, call in _OF_THE_UI.items():
        path: str = _get_ajax_path(name)
        found["GET" if call.is_read else "POST", path] = Route(path, call)
    return found

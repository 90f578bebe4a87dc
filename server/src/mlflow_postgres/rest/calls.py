"""The calls that are answered here, by method and path."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from mlflow.protos import service_pb2
from mlflow.server.handlers import get_service_endpoints

from . import batches, experiments, histories, runs, searches, tags
from .arguments import Arguments, OfRun
from .database import Database
from .errors import NotServed

_A = TypeVar("_A", bound=Arguments)


@dataclass(frozen=True)
class Call:
    """A call, and how its arguments are read."""

    arguments: Callable[[bytes, bytes], Arguments]
    """From the query and the body. Raises `NotServed`."""
    answer: Callable[[Database, Any], Awaitable[bytes]]
    """The body of its answer. Raises `NotServed` or `Lost`."""


@dataclass(frozen=True)
class Route:
    """A path of a call. Figures about requests have it as their route."""

    path: str
    call: Call


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

    return Call(read, answer)


def _get(arguments: type[_A], answer: Callable[[Database, _A], Awaitable[bytes]]) -> Call:
    """A call with its arguments in the query."""

    def read(query: bytes, body: bytes) -> _A:
        try:
            given = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict")
            values = dict(given)
            if body or len(values) != len(given) or any("\0" in value for value in values.values()):
                raise NotServed
            return _checked(msgspec.convert(values, arguments, strict=False))
        except (msgspec.MsgspecError, ValueError):
            raise NotServed from None

    return Call(read, answer)


def _checked(arguments: _A) -> _A:
    if isinstance(arguments, OfRun):
        arguments.check()
    return arguments


_CALLS = {
    service_pb2.CreateRun: _post(runs.Create, runs.create),
    service_pb2.UpdateRun: _post(runs.Update, runs.update),
    service_pb2.GetRun: _get(runs.Get, runs.get),
    service_pb2.SearchRuns: _post(searches.Search, searches.search),
    service_pb2.LogBatch: _post(batches.LogBatch, batches.log_batch),
    service_pb2.LogMetric: _post(batches.LogMetric, batches.log_metric),
    service_pb2.LogParam: _post(batches.LogParam, batches.log_parameter),
    service_pb2.SetTag: _post(batches.SetTag, batches.set_tag),
    service_pb2.DeleteTag: _post(tags.DeleteTag, tags.delete_tag),
    service_pb2.GetExperiment: _get(experiments.Get, experiments.get),
    service_pb2.GetExperimentByName: _get(experiments.GetByName, experiments.get_by_name),
    service_pb2.GetMetricHistory: _get(histories.Get, histories.get),
}


def routes() -> dict[tuple[str, str], Route]:
    """By method and path, on all paths on which MLflow serves the call."""
    endpoints = get_service_endpoints(service_pb2.MlflowService, _CALLS.get)
    return {
        (method, path): Route(path, call) for path, call, methods in endpoints if call is not None for method in methods
    }

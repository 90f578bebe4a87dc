"""A trace that is opened: tags and metadata in one statement, where MLflow takes three, and an object for each row."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, NamedTuple

import sqlalchemy
from mlflow.store.tracking.dbmodels.models import SqlTraceInfo
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from sqlalchemy.orm import lazyload, object_session
from sqlalchemy.orm.attributes import set_committed_value

from ..replacement import replace

_reading: ContextVar[bool] = ContextVar("reading", default=False)
"""While one trace is read."""

_STATEMENT = """
SELECT 'tags', key, value FROM trace_tags WHERE request_id = :trace_id
UNION ALL
SELECT 'request_metadata', key, value FROM trace_request_metadata WHERE request_id = :trace_id
UNION ALL
SELECT 'assessments', NULL, NULL WHERE EXISTS (SELECT FROM assessments WHERE trace_id = :trace_id)
"""


class _Pair(NamedTuple):
    """All that MLflow asks of a tag or a piece of metadata."""

    key: str
    value: str | None


def install() -> None:
    module = importlib.import_module("mlflow.store.tracking.sqlalchemy_store")
    store, table = module.SqlAlchemyStore, module.SqlTraceInfo
    get: Callable[[SqlAlchemyStore, str, bool], object] = store._get_trace
    entity: Callable[[SqlTraceInfo], object] = table.to_mlflow_entity
    load: Callable[..., object] = module.selectinload

    def _get_trace(self: SqlAlchemyStore, trace_id: str, allow_partial: bool) -> object:
        token = _reading.set(True)
        try:
            return get(self, trace_id, allow_partial)
        finally:
            _reading.reset(token)

    def selectinload(*relationships: Any) -> object:
        return lazyload(*relationships) if _reading.get() else load(*relationships)

    def to_mlflow_entity(trace: SqlTraceInfo) -> object:
        if _reading.get():
            _read(trace)
        return entity(trace)

    replace(store, _get_trace=_get_trace)
    replace(module, selectinload=selectinload)
    replace(table, to_mlflow_entity=to_mlflow_entity)


def _read(trace: SqlTraceInfo) -> None:
    """Give a trace its tags and metadata; its assessments are MLflow's to read, if it has any."""
    session = object_session(trace)
    assert session is not None, "a trace that is being read has a session"
    found: dict[str, list[_Pair]] = {"tags": [], "request_metadata": [], "assessments": []}
    for kind, key, value in session.execute(sqlalchemy.text(_STATEMENT), {"trace_id": trace.request_id}):
        found[kind].append(_Pair(key, value))
    if found["assessments"]:
        del found["assessments"]
    for attribute, values in found.items():
        set_committed_value(trace, attribute, values)

"""A trace that is opened: tags and metadata in one statement, where MLflow takes three, and an object for each row."""

from __future__ import annotations

import importlib
from contextvars import ContextVar
from typing import Any, NamedTuple

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
    from sqlalchemy.orm import lazyload

    module: Any = importlib.import_module("mlflow.store.tracking.sqlalchemy_store")
    store, table = module.SqlAlchemyStore, module.SqlTraceInfo
    get, entity, load = store._get_trace, table.to_mlflow_entity, module.selectinload

    def _get_trace(self: Any, trace_id: str, allow_partial: bool) -> Any:
        token = _reading.set(True)
        try:
            return get(self, trace_id, allow_partial)
        finally:
            _reading.reset(token)

    def selectinload(*relationships: Any) -> Any:
        return (lazyload if _reading.get() else load)(*relationships)

    def to_mlflow_entity(trace: Any) -> Any:
        if _reading.get():
            _read(trace)
        return entity(trace)

    store._get_trace = _get_trace
    module.selectinload = selectinload
    table.to_mlflow_entity = to_mlflow_entity


def _read(trace: Any) -> None:
    """Give a trace its tags and metadata; its assessments are MLflow's to read, if it has any."""
    import sqlalchemy
    from sqlalchemy.orm.attributes import set_committed_value

    session: Any = sqlalchemy.orm.object_session(trace)
    found: dict[str, list[_Pair]] = {"tags": [], "request_metadata": [], "assessments": []}
    for kind, key, value in session.execute(sqlalchemy.text(_STATEMENT), {"trace_id": trace.request_id}):
        found[kind].append(_Pair(key, value))
    if found["assessments"]:
        del found["assessments"]
    for attribute, values in found.items():
        set_committed_value(trace, attribute, values)

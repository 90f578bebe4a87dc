"""The traces of a search's answer as JSON: tags and metadata are what PostgreSQL makes of them, put in as they are.

MLflow asks for tags, metadata and assessments one after the other, and makes each trace an object, a message and then
JSON; that is most of the time of a search for 100 of them.
"""

from __future__ import annotations

import datetime
import importlib
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from json.encoder import encode_basestring_ascii as quoted
from types import ModuleType
from typing import Any, NamedTuple

import sqlalchemy
from flask import Response, has_request_context, request
from google.protobuf.message import Message
from mlflow.entities.trace_info_v2 import _truncate_request_metadata, _truncate_tags
from mlflow.protos.service_pb2 import TraceInfoV3
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.tracing import constant
from sqlalchemy import Row
from sqlalchemy.orm import Session

from ..replacement import replace
from . import responses, run_json

_wanted: ContextVar[bool] = ContextVar("wanted", default=False)
"""While traces are read for an answer in JSON."""
_found: ContextVar[dict[str, str] | None] = ContextVar("found", default=None)
"""The traces of the last such answer, by their ids."""

_MOST_SECONDS = 315_576_000_000
# Without a zone, for then none is written.
_EPOCH = datetime.datetime(1970, 1, 1)
_ANSWER = "/mlflow/traces/search"
"""What asks for traces by a filter, and gives nothing but JSON."""

# A value that is missing is the text `None` in MLflow's answers.
_STATEMENT = """
SELECT id,
       (SELECT json_object_agg(key, left(coalesce(value, 'None'), :most_of_tag))
          FROM trace_tags WHERE request_id = id AND key <> :name)::text AS tags,
       (SELECT json_object_agg(key, left(coalesce(value, 'None'), :most_of_metadata))
          FROM trace_request_metadata WHERE request_id = id AND key <> ALL (CAST(:promoted AS varchar[])))::text
         AS metadata,
       EXISTS (SELECT FROM assessments WHERE trace_id = id) AS assessed
  FROM unnest(CAST(:ids AS varchar[])) AS ids (id)
"""


class _Written(NamedTuple):
    """Stands for a trace in a message, which need not hold more of it than its id."""

    message: Message

    def to_proto(self) -> Message:
        return self.message


def install() -> None:
    module = importlib.import_module("mlflow.store.tracking.sqlalchemy_store")
    handlers = importlib.import_module("mlflow.server.handlers")
    store = module.SqlAlchemyStore
    search: Callable[..., object] = store.search_traces
    build: Callable[[Session, Sequence[Row[tuple[object, ...]]]], object] = module._build_trace_infos_from_rows
    wrap: Callable[[Message], Response] = handlers._wrap_trace_info_response

    def search_traces(self: SqlAlchemyStore, *arguments: object, **named: object) -> object:
        _found.set(None)
        token = _wanted.set(_is_answer())
        try:
            return search(self, *arguments, **named)
        finally:
            _wanted.reset(token)

    def _build_trace_infos_from_rows(session: Session, rows: Sequence[Row[tuple[object, ...]]]) -> object:
        if _wanted.get() and rows:
            try:
                return _written(module, session, rows)
            except (responses.UnknownForm, OverflowError):
                # Whatever MLflow makes of it.
                pass
        return build(session, rows)

    def _wrap_trace_info_response(message: Message) -> Response:
        found = _found.get()
        if found is None or not isinstance(message, handlers.SearchTracesV3.Response):
            return wrap(message)
        return Response(answer(message, found), mimetype="application/json")

    replace(store, search_traces=search_traces)
    replace(module, _build_trace_infos_from_rows=_build_trace_infos_from_rows)
    replace(handlers, _wrap_trace_info_response=_wrap_trace_info_response)


def answer(message: Any, found: dict[str, str]) -> str:
    """The JSON of an answer whose traces are known by their ids alone."""
    traces = ",".join(found[trace.trace_id] for trace in message.traces)
    others = {"next_page_token": message.next_page_token} if message.next_page_token else {}
    return run_json.replaced(others, "traces", f"[{traces}]")


def _is_answer() -> bool:
    return bool(has_request_context() and request.path.endswith(_ANSWER))


def _written(module: ModuleType, session: Session, rows: Sequence[Row[tuple[object, ...]]]) -> list[_Written]:
    """Write each trace's JSON, and give what stands for it. Raises `UnknownForm`."""
    parts = _parts(module, session, [row.request_id for row in rows])
    assessments = _assessments(module, session, [trace_id for trace_id, part in parts.items() if part[-1]])
    found = {}
    for row in rows:
        part = parts[row.request_id]
        found[row.request_id] = _text(module, row, part.tags, part.metadata, assessments.get(row.request_id, []))
    _found.set(found)
    return [_Written(TraceInfoV3(trace_id=row.request_id)) for row in rows]


def _parts(module: ModuleType, session: Session, trace_ids: list[str]) -> dict[str, Row[tuple[str, str, str, bool]]]:
    """By trace: its id, its tags and its metadata in JSON, and whether it has assessments."""
    values = {
        "ids": trace_ids,
        "name": constant.TraceTagKey.TRACE_NAME,
        "promoted": list(module.PROMOTED_TRACE_METADATA_KEYS),
        "most_of_tag": constant.MAX_CHARS_IN_TRACE_INFO_TAGS_VALUE,
        "most_of_metadata": constant.MAX_CHARS_IN_TRACE_INFO_METADATA,
    }
    return {row[0]: row for row in session.execute(sqlalchemy.text(_STATEMENT), values)}


def _assessments(module: ModuleType, session: Session, trace_ids: list[str]) -> dict[str, list[object]]:
    """What the answer says of each trace's assessments. Raises `UnknownForm`."""
    table = module.SqlAssessments
    found: dict[str, list[object]] = {trace_id: [] for trace_id in trace_ids}
    if trace_ids:
        for each in session.query(table).filter(table.trace_id.in_(trace_ids)):
            found[each.trace_id].append(responses.as_dict_with_texts(each.to_mlflow_entity().to_proto()))
    return found


def _text(
    module: ModuleType, row: Row[tuple[object, ...]], tags: str | None, metadata: str | None, assessments: list[object]
) -> str:
    """A trace as MLflow writes it."""
    name = {} if row.trace_name is None else {module.TraceTagKey.TRACE_NAME: row.trace_name}
    columns = module.compatibility_metadata_from_columns(row)
    place = f'{{"type":"MLFLOW_EXPERIMENT","mlflow_experiment":{{"experiment_id":"{row.experiment_id}"}}}}'
    # What a trace does not have is not in its answer.
    fields = {
        "trace_id": quoted(row.request_id),
        "client_request_id": row.client_request_id is not None and quoted(row.client_request_id),
        "trace_location": place,
        "request_preview": row.request_preview is not None and quoted(row.request_preview),
        "response_preview": row.response_preview is not None and quoted(row.response_preview),
        "request_time": f'"{moment(row.timestamp_ms)}"',
        "execution_duration": row.execution_time_ms is not None and f'"{duration(row.execution_time_ms)}"',
        "state": f'"{module.TraceState(row.status).value}"',
        "trace_metadata": merged(metadata, _truncate_request_metadata(columns)),
        "tags": merged(tags, _truncate_tags(name)),
        "assessments": assessments and run_json.compact(assessments),
    }
    return "{" + ",".join([f'"{field}":{value}' for field, value in fields.items() if value]) + "}"


def merged(written: str | None, more: dict[str, str]) -> str:
    """The JSON of an object, and of what it has beside; empty if there is neither."""
    if not written:
        return run_json.compact(more) if more else ""
    written = run_json.as_ascii(written)
    return f"{written.rstrip().removesuffix('}')},{run_json.compact(more)[1:]}" if more else written


def moment(milliseconds: int) -> str:
    """A time since 1970 as protobuf writes it. Raises OverflowError when no calendar has it."""
    time = _EPOCH + datetime.timedelta(milliseconds=milliseconds)
    return time.isoformat(timespec="milliseconds" if milliseconds % 1_000 else "seconds") + "Z"


def duration(milliseconds: int) -> str:
    """A duration as protobuf writes it. Raises OverflowError beyond the 10,000 years that it knows."""
    seconds, rest = divmod(abs(milliseconds), 1_000)
    if seconds >= _MOST_SECONDS:
        raise OverflowError(milliseconds)
    sign = "-" if milliseconds < 0 else ""
    return f"{sign}{seconds}.{rest:03}s" if rest else f"{sign}{seconds}s"

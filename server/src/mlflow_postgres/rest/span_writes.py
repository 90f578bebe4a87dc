"""Writes the spans of a request, and what they change of their traces."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from mlflow.store.tracking.utils.trace_analytics import COST_COLUMN_BY_KEY, TOKEN_COLUMN_BY_KEY
from mlflow.tracing.constant import SpanAttributeKey, SpansLocation, TraceMetadataKey, TraceTagKey
from mlflow.utils.mlflow_tags import MLFLOW_ARTIFACT_LOCATION

from . import arrays, locations
from .database import Database
from .errors import NotServed
from .exported_traces import Trace

_TOKENS: Final = tuple(TOKEN_COLUMN_BY_KEY.values())
_COSTS: Final = tuple(COST_COLUMN_BY_KEY.values())
_ATTEMPTS: Final = 3

_STORED: Final = f"""
SELECT trace.request_id, trace.db_payload_generation, span.span_id, span.parent_span_id,
       CASE WHEN content LIKE '%%"{SpanAttributeKey.CHAT_USAGE}"%%' OR content LIKE '%%"{SpanAttributeKey.LLM_COST}"%%'
            THEN content END
  FROM trace_info AS trace
  LEFT JOIN spans AS span ON span.trace_id = trace.request_id AND span.content <> ''
 WHERE trace.request_id = ANY(%(trace_ids)s::varchar[])
"""


def _unless_final(columns: Sequence[str]) -> str:
    """Sums of the spans, but for a trace whose sender has given sums of its own."""
    has_own = " OR ".join(f"trace.{column} IS NOT NULL" for column in columns)
    return ", ".join(
        f"{column} = CASE WHEN new.is_final AND ({has_own}) THEN trace.{column}"
        f" ELSE coalesce(new.{column}, trace.{column}) END"
        for column in columns
    )


# Nothing is written if a trace has changed since its spans were read, or since this statement began: what it reads of
# other tables would be older than the row that it has locked. A trace that another client makes meanwhile violates the
# primary key, which undoes the whole statement.
# - Traces are locked in the order of their ids, or two requests could wait for each other.
# - The times of a trace that its sender has finished stay as they are. MLflow asks whether it is finished only if
#   there are tokens, costs or a session.
_WRITE: Final = f"""
WITH given AS MATERIALIZED (
  SELECT * FROM json_to_recordset(%(traces)s::json) AS given (
    id varchar, first bigint, last bigint, state varchar, request_preview varchar, response_preview varchar,
    trace_name varchar, session_id varchar, user_id varchar, is_read boolean, generation integer,
    asks_whether_final boolean, {", ".join(f"{column} bigint" for column in _TOKENS)},
    {", ".join(f"{column} float8" for column in _COSTS)})
), tags AS MATERIALIZED (
  SELECT * FROM json_to_recordset(%(tags)s::json) AS tag (trace_id varchar, key varchar, value varchar)
), seen AS MATERIALIZED (
  SELECT request_id, db_payload_generation FROM trace_info WHERE request_id IN (SELECT id FROM given)
), old AS MATERIALIZED (
  SELECT trace.request_id, trace.experiment_id, trace.db_payload_generation, trace.timestamp_ms
    FROM trace_info AS trace JOIN given ON trace.request_id = given.id ORDER BY trace.request_id FOR UPDATE OF trace
), place AS MATERIALIZED (
  SELECT experiment_id, artifact_location FROM experiments
   WHERE experiment_id = %(experiment_id)s::integer AND {locations.IS_PLAIN}
), verdict AS MATERIALIZED (
  SELECT FROM (SELECT count(*) AS count FROM old JOIN seen USING (request_id, db_payload_generation)) AS unchanged
   WHERE unchanged.count = (SELECT count(*) FROM seen)
     AND NOT EXISTS (SELECT FROM given LEFT JOIN seen ON seen.request_id = given.id
                      WHERE given.is_read AND given.generation IS DISTINCT FROM seen.db_payload_generation)
     AND NOT EXISTS (SELECT FROM trace_tags JOIN seen USING (request_id)
                      WHERE key = '{TraceTagKey.SPANS_LOCATION}' AND value <> '{SpansLocation.TRACKING_STORE.value}')
     AND (EXISTS (SELECT FROM place) OR unchanged.count = (SELECT count(*) FROM given))
), new AS MATERIALIZED (
  SELECT given.*, old.request_id IS NOT NULL AS is_old,
         coalesce(old.experiment_id, place.experiment_id) AS experiment_id,
         place.artifact_location || '/traces/' || given.id || '/artifacts' AS location,
         given.asks_whether_final AND EXISTS (
           SELECT FROM trace_request_metadata
            WHERE request_id = given.id AND key = '{TraceMetadataKey.TRACE_INFO_FINALIZED}') AS is_final,
         given.first < old.timestamp_ms AS is_earlier
    FROM verdict CROSS JOIN given LEFT JOIN old ON old.request_id = given.id LEFT JOIN place ON TRUE
), new_traces AS (
  INSERT INTO trace_info (request_id, experiment_id, timestamp_ms, execution_time_ms, status, request_preview,
                          response_preview, db_payload_generation, trace_name, session_id,
                          {", ".join(_TOKENS + _COSTS)})
  SELECT id, experiment_id, first, last - first, coalesce(state, 'IN_PROGRESS'), request_preview, response_preview, 1,
         trace_name, session_id, {", ".join(_TOKENS + _COSTS)}
    FROM new WHERE NOT is_old ORDER BY id
), old_traces AS (
  UPDATE trace_info AS trace
     SET timestamp_ms = CASE WHEN is_final THEN timestamp_ms ELSE least(timestamp_ms, first) END,
         execution_time_ms = CASE WHEN is_final THEN execution_time_ms
                                  WHEN timestamp_ms + execution_time_ms > last
                                  THEN timestamp_ms + execution_time_ms - least(timestamp_ms, first)
                                  ELSE last - least(timestamp_ms, first) END,
         status = CASE WHEN trace.status IN ('IN_PROGRESS', 'STATE_UNSPECIFIED') THEN coalesce(new.state, trace.status)
                       ELSE trace.status END,
         request_preview = coalesce(trace.request_preview, new.request_preview),
         response_preview = coalesce(trace.response_preview, new.response_preview),
         trace_name = coalesce(new.trace_name, trace.trace_name),
         session_id = coalesce(trace.session_id, new.session_id),
         db_payload_generation = db_payload_generation + 1,
         {_unless_final(_TOKENS)},
         {_unless_final(_COSTS)}
    FROM new WHERE trace.request_id = new.id AND new.is_old
), new_tags AS (
  INSERT INTO trace_tags (request_id, key, value)
  SELECT trace_id, key, value FROM tags, verdict
   UNION ALL
  SELECT id, '{MLFLOW_ARTIFACT_LOCATION}', location FROM new
   WHERE NOT is_old
     AND NOT EXISTS (SELECT FROM tags WHERE trace_id = id AND key = '{MLFLOW_ARTIFACT_LOCATION}')
   ORDER BY 1, 2 ON CONFLICT (request_id, key) DO UPDATE SET value = excluded.value
), new_users AS (
  INSERT INTO trace_request_metadata (request_id, key, value)
  SELECT id, '{TraceMetadataKey.TRACE_USER}', user_id FROM new WHERE user_id IS NOT NULL
   ORDER BY id ON CONFLICT (request_id, key) DO NOTHING
), new_times AS (
  UPDATE assessments SET trace_timestamp_ms = new.first
    FROM new WHERE assessments.trace_id = new.id AND is_earlier AND NOT is_final
), new_spans AS (
  INSERT INTO spans (trace_id, experiment_id, span_id, parent_span_id, name, type, status, start_time_unix_nano,
                     end_time_unix_nano, content, {", ".join(_COSTS)}, model_name, model_provider)
  SELECT trace_id, new.experiment_id, span_id, parent_span_id, name, type, status, start_time_unix_nano,
         end_time_unix_nano, content, {", ".join(f"span.{column}" for column in _COSTS)}, model_name, model_provider
    FROM json_to_recordset(%(spans)s::json) AS span (
      trace_id varchar, span_id varchar, parent_span_id varchar, name text, type varchar, status varchar,
      start_time_unix_nano bigint, end_time_unix_nano bigint, content text,
      {", ".join(f"{column} float8" for column in _COSTS)}, model_name varchar, model_provider varchar)
    JOIN new ON new.id = span.trace_id
   ORDER BY trace_id, span_id ON CONFLICT (trace_id, span_id) DO UPDATE
     SET experiment_id = excluded.experiment_id, parent_span_id = excluded.parent_span_id, name = excluded.name,
         type = excluded.type, status = excluded.status, start_time_unix_nano = excluded.start_time_unix_nano,
         end_time_unix_nano = excluded.end_time_unix_nano, content = excluded.content,
         {", ".join(f"{column} = excluded.{column}" for column in _COSTS)},
         model_name = excluded.model_name, model_provider = excluded.model_provider
)
SELECT FROM verdict
"""


async def write(database: Database, experiment_id: str, traces: Sequence[Trace]) -> None:
    """Raises `NotServed` or `Lost`."""
    for _ in range(_ATTEMPTS - 1):
        try:
            await _write(database, experiment_id, traces)
        except NotServed:
            # Another client may have written spans of the same trace.
            continue
        return
    await _write(database, experiment_id, traces)


async def _write(database: Database, experiment_id: str, traces: Sequence[Trace]) -> None:
    stored = await _stored(database, [trace.id for trace in traces if trace.has_usage or trace.has_cost])
    try:
        values = {
            "experiment_id": experiment_id,
            "traces": _json([_row(trace, stored.get(trace.id)) for trace in traces]),
            "spans": _json([span for trace in traces for span in trace.spans]),
            "tags": _json(
                [
                    {"trace_id": trace.id, "key": key, "value": value}
                    for trace in traces
                    for key, value in trace.tags.items()
                ]
            ),
        }
    except Exception:
        # Such as a surrogate, which is no character to PostgreSQL either.
        raise NotServed from None
    await database.write(_WRITE, values)


_Stored = tuple[int, list[tuple[str, str | None, dict[str, Any]]]]
"""The generation of a trace's spans, and of each span its id, its parent's id and its attributes."""


async def _stored(database: Database, trace_ids: Sequence[str]) -> Mapping[str, _Stored]:
    found: dict[str, _Stored] = {}
    if not trace_ids:
        return found
    for row in await database.read(_STORED, {"trace_ids": arrays.of_texts(trace_ids)}):
        trace_id, generation, span_id, parent_id, content = [column.decode() for column in row]
        _, spans = found.setdefault(trace_id, (int(generation), []))
        if span_id:
            spans.append((span_id, parent_id or None, _attributes(content)))
    return found


def _attributes(content: str) -> dict[str, Any]:
    """Raises `NotServed` for what is no span."""
    try:
        attributes: dict[str, Any] = (json.loads(content).get("attributes") or {}) if content else {}
    except (ValueError, AttributeError):
        raise NotServed from None
    return attributes


def _row(trace: Trace, stored: _Stored | None) -> dict[str, Any]:
    generation, spans = stored or (None, [])
    return {
        "id": trace.id,
        "first": trace.start,
        "last": trace.end,
        "state": trace.state,
        "trace_name": trace.name,
        "session_id": trace.session_id or None,
        "user_id": trace.user_id or None,
        "is_read": trace.has_usage or trace.has_cost,
        "generation": generation,
        "asks_whether_final": bool(trace.has_usage or trace.has_cost or trace.session_id),
        **trace.previews(),
        **trace.sums(spans),
    }


def _json(rows: Sequence[Mapping[str, Any]]) -> str:
    return msgspec.json.encode(rows).decode()

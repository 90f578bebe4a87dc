"""A trace's JSON without its spans, as columns of a statement over `trace_info AS trace`."""

from __future__ import annotations

import json
from typing import Final

from mlflow.store.tracking.dbmodels.models import SqlAssessments
from mlflow.store.tracking.utils.trace_analytics import (
    COST_COLUMN_BY_KEY,
    PROMOTED_TRACE_METADATA_KEYS,
    TOKEN_COLUMN_BY_KEY,
)
from mlflow.tracing import constant
from mlflow.utils.proto_json_utils import message_to_json

from .errors import NotServed


def _object(members: dict[str, str]) -> str:
    """The text of a JSON object with the members that are not NULL. NULL if there is none."""
    written = ", ".join(f"""'"{key}": ' || {value}""" for key, value in members.items())
    return f"'{{' || nullif(concat_ws(', ', {written}), '') || '}}'"


_TOKENS: Final = _object({key: f"trace.{column}" for key, column in TOKEN_COLUMN_BY_KEY.items()})
_COSTS: Final = ", ".join(f"trace.{column}" for column in COST_COLUMN_BY_KEY.values())
_PROMOTED: Final = ", ".join(f"'{key}'" for key in sorted(PROMOTED_TRACE_METADATA_KEYS))

# Protobuf has no word for other times, and MLflow none for other states.
_IS_WHOLE: Final = """
(trace.timestamp_ms BETWEEN 0 AND 253402300799999
 AND (trace.execution_time_ms IS NULL OR trace.execution_time_ms BETWEEN 0 AND 315575999999999)
 AND trace.status IN ('STATE_UNSPECIFIED', 'OK', 'ERROR', 'IN_PROGRESS'))
"""


def _fraction(column: str) -> str:
    """The milliseconds of a time as protobuf writes them: three digits, or none."""
    return f"CASE WHEN {column} %% 1000 = 0 THEN '' ELSE '.' || lpad(({column} %% 1000)::text, 3, '0') END"


# A value that is missing is the text `None` in MLflow's answers.
_INFO: Final = f"""
json_strip_nulls(json_build_object(
  'trace_id', trace.request_id,
  'client_request_id', trace.client_request_id,
  'trace_location', json_build_object('type', 'MLFLOW_EXPERIMENT', 'mlflow_experiment',
                                      json_build_object('experiment_id', trace.experiment_id::text)),
  'request_preview', trace.request_preview,
  'response_preview', trace.response_preview,
  'request_time', to_char(to_timestamp(trace.timestamp_ms / 1000) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS')
                  || {_fraction("trace.timestamp_ms")} || 'Z',
  'execution_duration', (trace.execution_time_ms / 1000) || {_fraction("trace.execution_time_ms")} || 's',
  'state', trace.status))
"""
_TAGS: Final = f"""
(SELECT json_object_agg(key, left(coalesce(value, 'None'), {constant.MAX_CHARS_IN_TRACE_INFO_TAGS_VALUE}))
   FROM (SELECT key, value FROM trace_tags
          WHERE request_id = trace.request_id AND key <> '{constant.TraceTagKey.TRACE_NAME}'
         UNION ALL
         SELECT '{constant.TraceTagKey.TRACE_NAME}', trace.trace_name WHERE trace.trace_name IS NOT NULL) AS tag)
"""
_METADATA: Final = f"""
(SELECT json_object_agg(key, left(coalesce(value, 'None'), {constant.MAX_CHARS_IN_TRACE_INFO_METADATA}))
   FROM (SELECT key, value FROM trace_request_metadata
          WHERE request_id = trace.request_id AND key NOT IN ({_PROMOTED})
         UNION ALL
         SELECT key, value
           FROM (VALUES ('{constant.TraceMetadataKey.TRACE_SESSION}', trace.session_id),
                        ('{constant.TraceMetadataKey.TOKEN_USAGE}', {_TOKENS})) AS column_ (key, value)
          WHERE value IS NOT NULL) AS metadata)
"""
_ASSESSMENTS: Final = """
(SELECT json_agg(assessment) FROM assessments AS assessment WHERE assessment.trace_id = trace.request_id)
"""
_COST: Final = f"CASE WHEN coalesce({_COSTS}) IS NOT NULL THEN json_build_array({_COSTS}) END"
COLUMNS: Final = (
    f"{_INFO} AS info, {_TAGS} AS tags, {_METADATA} AS metadata, {_COST} AS cost,"
    f" {_ASSESSMENTS} AS assessments, {_IS_WHOLE} AS is_whole"
)


def info(head: bytes, tags: bytes, metadata: bytes, cost: bytes, assessments: bytes, is_whole: bytes) -> bytes:
    """A trace without its spans, of the columns. Raises `NotServed` if MLflow fails on it."""
    if is_whole != b"t":
        raise NotServed
    fields = [head.removesuffix(b"}")]
    if tags:
        fields.append(b'"tags":' + tags)
    if cost:
        metadata = b"%b,%b}" % (metadata.removesuffix(b"}"), _cost(cost)) if metadata else b"{%b}" % _cost(cost)
    if metadata:
        fields.append(b'"trace_metadata":' + metadata)
    if assessments:
        fields.append(b'"assessments":[%b]' % b",".join(map(_assessment, json.loads(assessments))))
    return b",".join(fields) + b"}"


def _cost(values: bytes) -> bytes:
    """A piece of metadata whose value is JSON. PostgreSQL writes some numbers with one more digit than Python does."""
    known = zip(COST_COLUMN_BY_KEY, json.loads(values, parse_int=float), strict=True)
    text = json.dumps({key: float(value) for key, value in known if value is not None})
    text = text[: constant.MAX_CHARS_IN_TRACE_INFO_METADATA]
    return f'"{constant.TraceMetadataKey.COST}":{json.dumps(text)}'.encode()


def _assessment(row: dict[str, object]) -> bytes:
    """An assessment of its row, by MLflow's own functions."""
    try:
        message = SqlAssessments(**row).to_mlflow_entity().to_proto()
    except Exception:
        raise NotServed from None
    written: str = message_to_json(message, pretty=False)
    return written.encode()

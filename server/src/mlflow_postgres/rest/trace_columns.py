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
from .json_texts import members, quoted, text

_TOKENS: Final = (
    f"'{{' || nullif({members({key: f'trace.{column}' for key, column in TOKEN_COLUMN_BY_KEY.items()})}, '') || '}}'"
)
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


def _pairs(table: str, promoted: str, most: int) -> str:
    """A JSON object of the rows of a trace. A value that is missing is the text `None` in MLflow's answers."""
    # A longer value has more bytes. `left` takes as long as all the rest.
    value = f"CASE WHEN octet_length(value) > {most} THEN left(value, {most}) ELSE coalesce(value, 'None') END"
    return (
        f"(SELECT json_object_agg(key, {value}) FROM {table}"
        f" WHERE request_id = trace.request_id AND key NOT IN ({promoted}))"
    )


_SECONDS: Final = "to_char(to_timestamp(trace.timestamp_ms / 1000) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS')"

_INFO: Final = members(
    {
        "trace_id": text("trace.request_id"),
        "client_request_id": text("trace.client_request_id"),
        "trace_location": (
            """'{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "'"""
            """ || trace.experiment_id || '"}}'"""
        ),
        "request_preview": text("trace.request_preview"),
        "response_preview": text("trace.response_preview"),
        "request_time": quoted(f"{_SECONDS} || {_fraction('trace.timestamp_ms')} || 'Z'"),
        "execution_duration": quoted(
            f"(trace.execution_time_ms / 1000) || {_fraction('trace.execution_time_ms')} || 's'"
        ),
        "state": text("trace.status"),
    }
)
_TAGS: Final = _pairs("trace_tags", f"'{constant.TraceTagKey.TRACE_NAME}'", constant.MAX_CHARS_IN_TRACE_INFO_TAGS_VALUE)
_PROMOTED_TAGS: Final = members(
    {constant.TraceTagKey.TRACE_NAME: text(f"left(trace.trace_name, {constant.MAX_CHARS_IN_TRACE_INFO_TAGS_VALUE})")}
)
_METADATA: Final = _pairs("trace_request_metadata", _PROMOTED, constant.MAX_CHARS_IN_TRACE_INFO_METADATA)
_PROMOTED_METADATA: Final = members(
    {
        key: text(f"left({value}, {constant.MAX_CHARS_IN_TRACE_INFO_METADATA})")
        for key, value in {
            constant.TraceMetadataKey.TRACE_SESSION: "trace.session_id",
            constant.TraceMetadataKey.TOKEN_USAGE: _TOKENS,
        }.items()
    }
)
_ASSESSMENTS: Final = """
(SELECT json_agg(assessment) FROM assessments AS assessment WHERE assessment.trace_id = trace.request_id)
"""
_COST: Final = f"CASE WHEN coalesce({_COSTS}) IS NOT NULL THEN json_build_array({_COSTS}) END"
COLUMNS: Final = ", ".join(
    (_INFO, _TAGS, _PROMOTED_TAGS, _METADATA, _PROMOTED_METADATA, _COST, _ASSESSMENTS, _IS_WHOLE),
)


def info(
    head: bytes,
    tags: bytes,
    promoted_tags: bytes,
    metadata: bytes,
    promoted_metadata: bytes,
    cost: bytes,
    assessments: bytes,
    is_whole: bytes,
) -> bytes:
    """A trace without its spans, of the columns. Raises `NotServed` if MLflow fails on it."""
    if is_whole != b"t":
        raise NotServed
    fields = [head]
    if tags or promoted_tags:
        fields.append(b'"tags":' + _object(tags, promoted_tags))
    if metadata or promoted_metadata or cost:
        fields.append(b'"trace_metadata":' + _object(metadata, promoted_metadata, _cost(cost)))
    if assessments:
        fields.append(b'"assessments":[%b]' % b",".join(map(_assessment, json.loads(assessments))))
    return b"{%b}" % b",".join(fields)


def _object(pairs: bytes, *members: bytes) -> bytes:
    """JSON objects as one: of the first one, and of members without braces. Any may be empty."""
    return b"{%b}" % b",".join([each for each in (pairs[1:-1], *members) if each])


def _cost(values: bytes) -> bytes:
    """A piece of metadata whose value is JSON, or nothing of nothing."""
    if not values:
        return b""
    # PostgreSQL writes some numbers with one more digit than Python does.
    known = zip(COST_COLUMN_BY_KEY, json.loads(values, parse_int=float), strict=True)
    costs = json.dumps({key: float(value) for key, value in known if value is not None})
    costs = costs[: constant.MAX_CHARS_IN_TRACE_INFO_METADATA]
    return f'"{constant.TraceMetadataKey.COST}":{json.dumps(costs)}'.encode()


def _assessment(row: dict[str, object]) -> bytes:
    """An assessment of its row, by MLflow's own functions."""
    try:
        message = SqlAssessments(**row).to_mlflow_entity().to_proto()
    except Exception:
        raise NotServed from None
    written: str = message_to_json(message, pretty=False)
    return written.encode()

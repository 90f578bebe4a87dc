"""Traces: get with and without spans, one or several."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

import anyio.to_thread
import msgspec
from mlflow.entities.span import LazySpan
from mlflow.protos.service_pb2 import Trace
from mlflow.tracing.constant import SpansLocation, TraceMetadataKey, TraceSizeStatsKey, TraceTagKey
from mlflow.tracing.otel.translation import translate_loaded_span
from mlflow.utils.proto_json_utils import message_to_json

from . import answers, arrays, trace_columns
from .arguments import Arguments, OfTrace, TraceId
from .database import Database, Row
from .errors import NotServed

_GET_INFO: Final = (
    f"SELECT {trace_columns.COLUMNS} FROM trace_info AS trace WHERE trace.request_id = %(trace_id)s::varchar"
)

# MLflow counts the last place of an id that is there twice.
_OF_BATCH: Final = """
FROM (SELECT request_id, max(place) AS place
        FROM unnest(%(trace_ids)s::varchar[]) WITH ORDINALITY AS asked (request_id, place)
       GROUP BY request_id) AS asked
JOIN trace_info AS trace USING (request_id)
ORDER BY asked.place
"""
_BATCH_GET_INFOS: Final = f"SELECT {trace_columns.COLUMNS} {_OF_BATCH}"

# The content of a span is JSON, and so are those of all.
_SPANS: Final = f"""
spans.count, spans.contents, spans.has_archived,
(SELECT value FROM trace_request_metadata
  WHERE request_id = trace.request_id AND key = '{TraceMetadataKey.SIZE_STATS}') AS sizes,
EXISTS (SELECT FROM trace_tags WHERE request_id = trace.request_id AND key = '{TraceTagKey.SPANS_LOCATION}'
           AND value = '{SpansLocation.TRACKING_STORE.value}') AS is_here
"""
_OF_TRACE: Final = """
CROSS JOIN LATERAL (
  SELECT count(*), string_agg(content, ',' ORDER BY parent_span_id IS NOT NULL, start_time_unix_nano) AS contents,
         bool_or(content = '') AS has_archived
    FROM spans WHERE trace_id = trace.request_id) AS spans
"""
_GET: Final = f"""
SELECT {trace_columns.COLUMNS}, {_SPANS} FROM trace_info AS trace {_OF_TRACE}
 WHERE trace.request_id = %(trace_id)s::varchar
"""
_BATCH_GET: Final = f"SELECT {trace_columns.COLUMNS}, {_SPANS} {_OF_BATCH.replace('ORDER BY', _OF_TRACE + 'ORDER BY')}"

_QUICK = 50_000
"""Bytes of spans that are written in a few milliseconds. Other requests do not wait for more."""


class GetInfo(OfTrace):
    pass


class Get(Arguments):
    trace_id: TraceId
    allow_partial: Literal["true", "false", "True", "False"] = "false"


class BatchGet(Arguments):
    trace_ids: Annotated[Sequence[TraceId], msgspec.Meta(min_length=1, max_length=500)]


async def get_info(database: Database, arguments: GetInfo) -> bytes:
    rows = await database.read(_GET_INFO, {"trace_id": arguments.trace_id})
    if len(rows) != 1:
        raise NotServed
    return answers.ascii_json(b'{"trace":{"trace_info":%b}}' % trace_columns.info(*rows[0]))


async def get(database: Database, arguments: Get) -> bytes:
    rows = await database.read(_GET, {"trace_id": arguments.trace_id})
    # MLflow waits for spans that are missing.
    if len(rows) != 1 or not (arguments.allow_partial.lower() == "true" or _is_complete(rows[0])):
        raise NotServed
    return answers.ascii_json(b'{"trace":%b}' % b"".join(await _written(rows)))


async def batch_get_infos(database: Database, arguments: BatchGet) -> bytes:
    return _listed(b"trace_infos", await infos(database, arguments.trace_ids))


async def infos(database: Database, trace_ids: Sequence[str]) -> list[bytes]:
    """The traces that exist, without their spans, in the order in which their ids are given. Raises `NotServed`."""
    rows = await database.read(_BATCH_GET_INFOS, {"trace_ids": arrays.of_texts(trace_ids)})
    return [trace_columns.info(*row) for row in rows]


async def batch_get(database: Database, arguments: BatchGet) -> bytes:
    rows = await database.read(_BATCH_GET, {"trace_ids": arrays.of_texts(arguments.trace_ids)})
    if any(row[-1] != b"t" for row in rows):
        raise NotServed
    return _listed(b"traces", await _written([row for row in rows if _is_complete(row)]))


def _listed(name: bytes, items: Sequence[bytes]) -> bytes:
    return answers.ascii_json(b'{"%b":[%b]}' % (name, b",".join(items)) if items else answers.EMPTY)


def _is_complete(row: Row) -> bool:
    """Whether all spans of a trace are here that its sender counted, and at least one. Raises `NotServed`."""
    count, _, _, sizes, _ = row[-5:]
    try:
        expected: int = json.loads(sizes).get(TraceSizeStatsKey.NUM_SPANS, 0) if sizes else 0
        return int(count) >= max(expected, 1)
    except (ValueError, TypeError, AttributeError):
        raise NotServed from None


async def _written(rows: Sequence[Row]) -> list[bytes]:
    """Traces with their spans. Raises `NotServed`."""
    if sum(len(row[-4]) for row in rows) <= _QUICK:
        return [_trace(row) for row in rows]
    return await anyio.to_thread.run_sync(lambda: [_trace(row) for row in rows])


def _trace(row: Row) -> bytes:
    *info, count, contents, has_archived, _, is_here = row
    # The spans are in another store, or about to be.
    if is_here != b"t" or has_archived == b"t":
        raise NotServed
    spans = _spans(contents, int(count))
    return b'{"trace_info":%b%b' % (trace_columns.info(*info), spans)


def _spans(contents: bytes, count: int) -> bytes:
    """The rest of a trace's JSON, by MLflow's own functions. Raises `NotServed`."""
    if not count:
        return b"}"
    try:
        found: list[dict[str, Any]] = json.loads(b"[%b]" % contents)
        spans = [LazySpan(translate_loaded_span(each)).to_otel_proto() for each in found]
        written: str = message_to_json(Trace(spans=spans), pretty=False)
    except Exception:
        # MLflow answers with status 500.
        raise NotServed from None
    if len(spans) != count:
        raise NotServed
    return b"," + written.removeprefix("{").encode()

"""Spans that OpenTelemetry's exporters send."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from typing import Any, Final

import anyio.to_thread
from google.protobuf.json_format import Parse
from mlflow.entities.span import Span
from mlflow.server import otel_api, otlp_metrics
from mlflow.tracing.utils import dump_span_attribute_value
from mlflow.tracing.utils.otlp import (
    MLFLOW_EXPERIMENT_ID_HEADER,
    MLFLOW_RUN_ID_HEADER,
    _decode_otel_proto_anyvalue,
    decompress_otlp_body,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from . import exported_traces, span_writes
from .arguments import Arguments
from .database import Database
from .errors import NotServed

_EXPERIMENT: Final = re.compile(r"0|[1-9][0-9]{0,8}")
_PROTOBUF, _JSON = "application/x-protobuf", "application/json"
_QUICK = 20_000
"""Bytes of a body whose spans are read in a few milliseconds. Other requests do not wait for more."""


class Export(Arguments):
    """A request. Its headers say how to read its body."""

    body: bytes
    experiment_id: str = ""
    media_type: str = ""
    encoding: str = ""

    def take(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Raises `NotServed`."""
        values: dict[str, str] = {}
        for name, value in headers:
            if values.setdefault(name.decode("latin-1"), value.decode("latin-1")) != value.decode("latin-1"):
                raise NotServed
        self.experiment_id = values.get(MLFLOW_EXPERIMENT_ID_HEADER, "")
        self.media_type = values.get("content-type", "").split(";")[0].strip()
        self.encoding = values.get("content-encoding", "").lower()
        # MLflow links the traces to the run.
        is_plain = _EXPERIMENT.fullmatch(self.experiment_id) and MLFLOW_RUN_ID_HEADER not in values
        if not is_plain or self.media_type not in (_PROTOBUF, _JSON):
            raise NotServed


def read(_: bytes, body: bytes) -> Export:
    """A request without its headers. MLflow takes no notice of a query."""
    return Export(body)


async def export(database: Database, arguments: Export) -> bytes:
    start = time.perf_counter()
    if len(arguments.body) <= _QUICK:
        traces = _traces(arguments)
    else:
        traces = await anyio.to_thread.run_sync(_traces, arguments)
    await span_writes.write(database, arguments.experiment_id, traces)
    _count(len(arguments.body), sum(len(trace.spans) for trace in traces), start)
    return b""


def _traces(arguments: Export) -> list[exported_traces.Trace]:
    """Raises `NotServed` for all that MLflow rejects."""
    try:
        return exported_traces.grouped(list(_spans(_message(arguments))))
    except NotServed:
        raise
    except Exception:
        raise NotServed from None


def _message(arguments: Export) -> ExportTraceServiceRequest:
    body = arguments.body
    if arguments.encoding:
        body = decompress_otlp_body(body, arguments.encoding)
    message = ExportTraceServiceRequest()
    if arguments.media_type == _JSON:
        body = otel_api._convert_otlp_json_ids_to_base64(body)
        return Parse(body, message, ignore_unknown_fields=True)
    message.ParseFromString(body)
    return message


def _spans(message: ExportTraceServiceRequest) -> Iterator[Span]:
    """As MLflow's own route reads them."""
    for resource_spans in message.resource_spans:
        resource = resource_spans.resource
        service = _service(resource)
        for scope_spans in resource_spans.scope_spans:
            for given in scope_spans.spans:
                span = Span.from_otel_proto(given, resource=resource)
                if span.parent_id is None and service:
                    attributes: Any = span._span._attributes
                    attributes["service.name"] = dump_span_attribute_value(service)
                yield span


def _service(resource: Resource) -> str | None:
    """The name of the service, if MLflow knows it."""
    names = (_decode_otel_proto_anyvalue(each.value) for each in resource.attributes if each.key == "service.name")
    name = str(next(names, None))
    return name if name in otel_api._KNOWN_SERVICE_NAMES else None


def _count(size: int, spans: int, start: float) -> None:
    """For the figures of MLflow's own route, if it has any."""
    if otlp_metrics.SPANS_INGESTED is not None:
        otlp_metrics.REQUEST_PAYLOAD_BYTES.observe(size)
        otlp_metrics.SPANS_INGESTED.labels(protocol=otel_api._PROTOCOL_LABEL).inc(spans)
        otlp_metrics.SPANS_PER_REQUEST.observe(spans)
        otlp_metrics.REQUEST_DURATION.observe(time.perf_counter() - start)

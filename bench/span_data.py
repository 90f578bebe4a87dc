"""Traces as OpenTelemetry's exporter sends them. Pure."""

from __future__ import annotations

import json
import time

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

PATH = "/v1/traces"
TYPE = "application/x-protobuf"
EXPERIMENT = "x-mlflow-experiment-id"
"""The header that names the experiment."""
SPANS = 10
"""Spans of one trace, which is one request."""
_KINDS = ("CHAIN", "RETRIEVER", "CHAT_MODEL", "TOOL", "PARSER")


def export_request(trace_id: bytes) -> bytes:
    """A request with one trace that has just ended: a root and nine spans below it. `trace_id` has 16 bytes."""
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    now = time.time_ns()
    root = trace_id[8:]
    for place in range(SPANS):
        span = spans.add(
            trace_id=trace_id,
            # A trace's spans have ids of their own.
            span_id=(int.from_bytes(root, "big") ^ place).to_bytes(8, "big"),
            parent_span_id=b"" if place == 0 else root,
            name=f"step {place}",
            kind=Span.SPAN_KIND_INTERNAL,
            start_time_unix_nano=now - 1_000_000_000 + place * 1_000_000,
            end_time_unix_nano=now,
            status=Status(code=Status.STATUS_CODE_OK),
        )
        attributes = {
            "mlflow.spanType": json.dumps(_KINDS[place % len(_KINDS)]),
            "mlflow.spanInputs": json.dumps({"question": f"{trace_id.hex()} {place}" * 4}),
            "mlflow.spanOutputs": json.dumps({"content": trace_id.hex() * 16}),
            "temperature": "0.2",
        }
        for key, value in attributes.items():
            span.attributes.add(key=key).value.string_value = value
    return request.SerializeToString()

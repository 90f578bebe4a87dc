"""Calls about traces, their spans and what people say about them."""

from __future__ import annotations

import copy
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from .calls import V2, V3, Call, delete, get, patch, post

TRACE = {
    "trace": {
        "trace_info": {
            "trace_id": "tr-0000000000000000000000000000000{n}",
            "trace_location": {
                "type": "MLFLOW_EXPERIMENT",
                "mlflow_experiment": {"experiment_id": "{experiment}"},
            },
            "request_time": "2026-01-01T00:00:00Z",
            "execution_duration": "1.5s",
            "state": "OK",
            "request_preview": "asked",
            "trace_metadata": {"mlflow.trace.session": "s", "other": "value"},
            "tags": {"mlflow.traceName": "named", "topic": "one"},
        }
    }
}


def trace(number: int) -> dict[str, Any]:
    made = copy.deepcopy(TRACE)
    info: Any = made["trace"]["trace_info"]
    info["trace_id"] = f"tr-{number:032x}"
    return made


def spans(number: int, name: str = "step", **attributes: str) -> Call:
    """A trace of two spans, as OpenTelemetry exports it."""
    trace_id = number.to_bytes(16, "big")
    given = [KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in attributes.items()]
    made = [
        Span(
            trace_id=trace_id,
            span_id=(2 * number + each).to_bytes(8, "big"),
            parent_span_id=(2 * number).to_bytes(8, "big") if each else b"",
            name=name,
            start_time_unix_nano=1_767_225_600_000_000_000 + each,
            end_time_unix_nano=1_767_225_601_000_000_000,
            attributes=given,
        )
        for each in (0, 1)
    ]
    request = ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=made)])])
    headers = {"Content-Type": "application/x-protobuf", "x-mlflow-experiment-id": "{experiment}"}
    return Call("POST", "/v1/traces", headers=headers, body=request.SerializeToString())


FEEDBACK = {
    "assessment": {
        "assessment_name": "good",
        "trace_id": "{trace}",
        "source": {"source_type": "HUMAN", "source_id": "me"},
        "feedback": {"value": 0.5},
        "rationale": "because",
        "metadata": {"k": "v"},
    }
}
EXPECTATION = {
    "assessment": {
        "assessment_name": "right",
        "trace_id": "{trace}",
        "source": {"source_type": "HUMAN", "source_id": "me"},
        "expectation": {"value": "yes"},
    }
}
TRACES = [
    spans(900),
    spans(900),
    spans(901, name='it\'s "q" %s', other="x" * 9_000),
    get(f"{V3}/traces/get", trace_id=f"tr-{900:032x}"),
    post(f"{V3}/traces", trace(1), trace="trace.trace_info.trace_id"),
    post(f"{V3}/traces", trace(1)),
    post(f"{V3}/traces", trace(2), second_trace="trace.trace_info.trace_id"),
    get(f"{V3}/traces/{{trace}}"),
    get(f"{V3}/traces/get", trace_id="{trace}", allow_partial="true"),
    get(f"{V3}/traces/batchGet", trace_ids="{trace}"),
    post(f"{V3}/traces/batchGetInfos", {"trace_ids": ["{trace}", "{second_trace}"]}),
    patch(f"{V3}/traces/{{trace}}/tags", {"key": "k", "value": "v"}),
    post(f"{V3}/traces/{{trace}}/assessments", FEEDBACK, assessment="assessment.assessment_id"),
    post(f"{V3}/traces/{{trace}}/assessments", EXPECTATION),
    get(f"{V3}/traces/{{trace}}/assessments/{{assessment}}"),
    patch(
        f"{V3}/traces/{{trace}}/assessments/{{assessment}}",
        {"assessment": {**FEEDBACK["assessment"], "feedback": {"value": 1}}, "update_mask": "feedback"},
    ),
    *[
        post(
            f"{V3}/traces/search",
            {
                "locations": [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "{experiment}"}}],
                "filter": text,
                "max_results": 200,
                "order_by": ["timestamp_ms DESC"],
            },
        )
        for text in (
            "tags.topic = 'one'",
            "feedback.good = '1'",
            "expectation.right = 'yes'",
            "trace.execution_time > 3",
            "span.name LIKE '%s%'",
            "metadata.other = 'value' AND status = 'OK'",
        )
    ],
    post(
        f"{V3}/traces/metrics",
        {
            "experiment_ids": ["{experiment}"],
            "view_type": "TRACES",
            "metric_name": "trace_count",
            "aggregations": [{"aggregation_type": "COUNT"}],
            "dimensions": ["trace_name", "trace_status"],
            "filters": ["trace.status = 'OK'"],
            "time_interval_seconds": 3600,
            "start_time_ms": 1767225600000,
            "end_time_ms": 1767312000000,
            "max_results": 200,
        },
    ),
    post(
        f"{V3}/traces/metrics",
        {
            "experiment_ids": ["{experiment}"],
            "view_type": "TRACES",
            "metric_name": "latency",
            "aggregations": [{"aggregation_type": "AVG"}, {"aggregation_type": "PERCENTILE", "percentile_value": 50}],
            "dimensions": ["trace_name"],
        },
    ),
    post(
        f"{V3}/traces/metrics",
        {
            "experiment_ids": ["{experiment}"],
            "view_type": "SPANS",
            "metric_name": "span_count",
            "aggregations": [{"aggregation_type": "COUNT"}],
            "dimensions": ["span_name", "span_type"],
        },
    ),
    post(
        f"{V3}/traces/metrics",
        {
            "experiment_ids": ["{experiment}"],
            "view_type": "ASSESSMENTS",
            "metric_name": "assessment_value",
            "aggregations": [{"aggregation_type": "AVG"}],
            "dimensions": ["assessment_name"],
        },
    ),
    post(
        f"{V3}/traces/calculate-filter-correlation",
        {"experiment_ids": ["{experiment}"], "filter_string1": "tags.topic = 'one'", "filter_string2": "status = 'OK'"},
    ),
    post(f"{V2}/traces/link-to-run", {"trace_ids": ["{trace}"], "run_id": "{run}"}),
    post(
        f"{V2}/traces/link-prompts",
        {"trace_id": "{trace}", "prompt_versions": [{"name": "prompt{pass}", "version": "1"}]},
    ),
    post(
        f"{V2}/traces",
        {
            "experiment_id": "{experiment}",
            "timestamp_ms": 1767225600000,
            "request_metadata": [{"key": "a", "value": "b"}],
            "tags": [{"key": "c", "value": "d"}],
        },
        old_trace="trace_info.request_id",
    ),
    patch(
        f"{V2}/traces/{{old_trace}}",
        {
            "request_id": "{old_trace}",
            "timestamp_ms": 1767225600500,
            "status": "OK",
            "request_metadata": [{"key": "a2", "value": "b"}],
            "tags": [{"key": "c2", "value": "d"}],
        },
    ),
    get(f"{V2}/traces/{{old_trace}}/info"),
    get(f"{V2}/traces", experiment_ids="{experiment}", filter="tags.c = 'd'", max_results="200"),
    delete(f"{V3}/traces/{{trace}}/tags", key="k"),
    delete(f"{V3}/traces/{{trace}}/assessments/{{assessment}}"),
    post(f"{V3}/traces/delete-traces", {"experiment_id": "{experiment}", "request_ids": ["{second_trace}"]}),
    post(f"{V3}/traces/delete-traces", {"experiment_id": "{experiment}", "max_timestamp_millis": 5, "max_traces": 5}),
]

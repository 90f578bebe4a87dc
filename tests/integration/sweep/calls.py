"""The calls: one of each that works, in an order in which they do, and each again with odd values in its fields."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

LONG = "long " * 2_000
UNSTORABLE = {"NUL": "a\0b", "half a pair": "a\ud800b"}
"""What PostgreSQL cannot hold, and SQLite can."""
ODD: dict[str, Any] = {
    **UNSTORABLE,
    "quotes": 'it\'s "q" \\ %s %(x)s :y',
    "10 digits": "4294967296",
    "20 digits": "94414057123483240200",
    "30 digits": "9" * 30,
    "text": "abc",
    "empty": "",
    "negative": "-1",
    "number": 777_777,
    "list": ["x"],
    "null": None,
    "long": LONG,
    "emoji": "\U0001f600 ü",
}
PLACES = {"experiment_id", "run_id", "trace_id", "version", "name", "key", "value", "filter", "experiment_ids"}
"""Fields that get four odd values; others get two."""

V2, V3 = "/api/2.0/mlflow", "/api/3.0/mlflow"


@dataclass(frozen=True)
class Call:
    """A request. `{name}` in its path and its fields is what an earlier answer said, by `keep`."""

    method: str
    path: str
    fields: dict[str, Any] = field(default_factory=dict)
    keep: dict[str, str] = field(default_factory=dict)
    """What of the answer later calls use: a name, and the way to it through the answer."""

    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    """Instead of the fields."""

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


def get(path: str, /, **fields: Any) -> Call:
    return Call("GET", path, fields)


def post(path: str, fields: dict[str, Any], **keep: str) -> Call:
    return Call("POST", path, fields, keep)


def patch(path: str, fields: dict[str, Any]) -> Call:
    return Call("PATCH", path, fields)


def delete(path: str, /, **fields: Any) -> Call:
    return Call("DELETE", path, fields)


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
DATASET_INPUT = {
    "dataset": {"name": "data", "digest": "abc", "source_type": "local", "source": "{}", "schema": "{}"},
    "tags": [{"key": "mlflow.data.context", "value": "train"}],
}

EXPERIMENTS = [
    post(
        f"{V2}/experiments/create", {"name": "sweep", "tags": [{"key": "a", "value": "b"}]}, experiment="experiment_id"
    ),
    post(f"{V2}/experiments/create", {"name": "second"}, second="experiment_id"),
    post(f"{V2}/experiments/create", {"name": "sweep"}),
    get(f"{V2}/experiments/get", experiment_id="{experiment}"),
    get(f"{V2}/experiments/get-by-name", experiment_name="sweep"),
    post(f"{V2}/experiments/update", {"experiment_id": "{second}", "new_name": "renamed"}),
    post(f"{V2}/experiments/set-experiment-tag", {"experiment_id": "{experiment}", "key": "k", "value": "v"}),
    post(
        f"{V2}/experiments/search",
        {"max_results": 10, "filter": "name LIKE 'sw%' AND tags.k = 'v'", "order_by": ["name ASC"], "view_type": "ALL"},
    ),
    post(f"{V2}/experiments/delete-experiment-tag", {"experiment_id": "{experiment}", "key": "k"}),
    post(f"{V2}/experiments/delete", {"experiment_id": "{second}"}),
    post(f"{V2}/experiments/restore", {"experiment_id": "{second}"}),
]
RUNS = [
    post(
        f"{V2}/runs/create",
        {
            "experiment_id": "{experiment}",
            "user_id": "me",
            "run_name": "first",
            "start_time": 1,
            "tags": [{"key": "t", "value": "v"}],
        },
        run="run.info.run_id",
    ),
    post(
        f"{V2}/runs/create",
        {"experiment_id": "{experiment}", "start_time": 2, "run_name": "other"},
        other="run.info.run_id",
    ),
    post(f"{V2}/runs/log-metric", {"run_id": "{run}", "key": "m", "value": 1.5, "timestamp": 5, "step": 1}),
    post(f"{V2}/runs/log-parameter", {"run_id": "{run}", "key": "p", "value": "1"}),
    post(f"{V2}/runs/log-parameter", {"run_id": "{run}", "key": "p", "value": "2"}),
    post(f"{V2}/runs/set-tag", {"run_id": "{run}", "key": "phase", "value": "train"}),
    post(
        f"{V2}/runs/log-batch",
        {
            "run_id": "{run}",
            "metrics": [{"key": "b", "value": 2.5, "timestamp": 7, "step": 3}],
            "params": [{"key": "bp", "value": "x"}],
            "tags": [{"key": "bt", "value": "y"}],
        },
    ),
    post(f"{V2}/runs/log-inputs", {"run_id": "{run}", "datasets": [DATASET_INPUT]}),
    post(f"{V2}/experiments/search-datasets", {"experiment_ids": ["{experiment}"]}),
    post("/ajax-api/2.0/mlflow/experiments/search-datasets", {"experiment_ids": ["{experiment}"]}),
    get(f"{V2}/runs/get", run_id="{run}"),
    post(
        f"{V2}/runs/search",
        {
            "experiment_ids": ["{experiment}"],
            "filter": "metrics.m > 1 AND params.p = '1' AND tags.phase LIKE 't%'",
            "order_by": ["metrics.m DESC"],
            "max_results": 5,
            "run_view_type": "ALL",
        },
    ),
    post(f"{V2}/runs/search", {"experiment_ids": ["{experiment}"], "filter": "dataset.name = 'data'"}),
    post(f"{V2}/runs/search", {"experiment_ids": ["{experiment}"], "filter": "attributes.run_name ILIKE 'FIR%'"}),
    get(f"{V2}/metrics/get-history", run_id="{run}", metric_key="m", max_results="5"),
    get(
        f"{V2}/metrics/get-history-bulk-interval",
        run_ids="{run}",
        metric_key="m",
        start_step="0",
        end_step="9",
        max_results="5",
    ),
    get("/ajax-api/2.0/mlflow/metrics/get-history-bulk", run_id="{run}", metric_key="m", max_results="5"),
    get(f"{V2}/artifacts/list", run_id="{run}", path="x"),
    post(f"{V2}/runs/update", {"run_id": "{run}", "status": "FINISHED", "end_time": 99, "run_name": "done"}),
    post(f"{V2}/runs/delete-tag", {"run_id": "{run}", "key": "phase"}),
    post(f"{V2}/runs/delete", {"run_id": "{other}"}),
    post(f"{V2}/runs/set-tag", {"run_id": "{other}", "key": "late", "value": "x"}),
    post(f"{V2}/runs/restore", {"run_id": "{other}"}),
]
MODELS = [
    post(
        f"{V2}/logged-models",
        {
            "experiment_id": "{experiment}",
            "name": "logged",
            "model_type": "Agent",
            "source_run_id": "{run}",
            "params": [{"key": "p", "value": "1"}],
            "tags": [{"key": "t", "value": "v"}],
        },
        model="model.info.model_id",
    ),
    patch(f"{V2}/logged-models/{{model}}", {"model_id": "{model}", "status": "LOGGED_MODEL_READY"}),
    get(f"{V2}/logged-models/{{model}}"),
    patch(f"{V2}/logged-models/{{model}}/tags", {"tags": [{"key": "more", "value": "x"}]}),
    post(f"{V2}/logged-models/{{model}}/params", {"model_id": "{model}", "params": [{"key": "q", "value": "2"}]}),
    post(
        f"{V2}/runs/log-metric",
        {"run_id": "{run}", "key": "mm", "value": 1.0, "timestamp": 5, "step": 1, "model_id": "{model}"},
    ),
    post(f"{V2}/runs/outputs", {"run_id": "{run}", "models": [{"model_id": "{model}", "step": 1}]}),
    post(
        f"{V2}/logged-models/search",
        {
            "experiment_ids": ["{experiment}"],
            "filter": "params.p = '1' AND metrics.mm > 0",
            "max_results": 5,
            "order_by": [{"field_name": "metrics.mm", "ascending": False}],
        },
    ),
    delete(f"{V2}/logged-models/{{model}}/tags/more"),
    get(f"{V2}/logged-models/{{model}}/artifacts/directories", artifact_directory_path="x"),
    delete(f"{V2}/logged-models/{{model}}"),
]
REGISTRY = [
    post(f"{V2}/registered-models/create", {"name": "reg", "description": "d", "tags": [{"key": "a", "value": "b"}]}),
    post(f"{V2}/registered-models/create", {"name": "reg"}),
    *[
        post(
            f"{V2}/model-versions/create",
            {
                "name": "reg",
                "source": "runs:/{run}/m",
                "run_id": "{run}",
                "description": "d",
                "tags": [{"key": "t", "value": "v"}],
            },
        )
        for _ in range(3)
    ],
    post(f"{V2}/model-versions/create", {"name": "reg", "source": "models:/reg/1"}),
    get(f"{V2}/model-versions/get", name="reg", version="1"),
    patch(f"{V2}/model-versions/update", {"name": "reg", "version": "1", "description": "new"}),
    post(f"{V2}/model-versions/transition-stage", {"name": "reg", "version": "1", "stage": "Production"}),
    post(
        f"{V2}/model-versions/transition-stage",
        {"name": "reg", "version": "2", "stage": "Production", "archive_existing_versions": True},
    ),
    post(f"{V2}/registered-models/get-latest-versions", {"name": "reg", "stages": ["Production"]}),
    post(f"{V2}/registered-models/set-tag", {"name": "reg", "key": "k", "value": "v"}),
    post(f"{V2}/model-versions/set-tag", {"name": "reg", "version": "2", "key": "k", "value": "v"}),
    post(f"{V2}/registered-models/alias", {"name": "reg", "alias": "best", "version": "2"}),
    get(f"{V2}/registered-models/alias", name="reg", alias="best"),
    get(f"{V2}/registered-models/get", name="reg"),
    get(
        f"{V2}/registered-models/search",
        filter="name ILIKE 'RE%' AND tags.k = 'v'",
        max_results="5",
        order_by="name DESC",
    ),
    get(
        f"{V2}/model-versions/search",
        filter="name = 'reg' AND tags.k = 'v'",
        max_results="5",
        order_by="version_number DESC",
    ),
    get(f"{V2}/model-versions/search", filter="run_id = 'x'", max_results="5"),
    get(f"{V2}/model-versions/get-download-uri", name="reg", version="1"),
    delete(f"{V2}/registered-models/delete-tag", name="reg", key="k"),
    delete(f"{V2}/model-versions/delete-tag", name="reg", version="2", key="k"),
    delete(f"{V2}/registered-models/alias", name="reg", alias="best"),
    delete(f"{V2}/model-versions/delete", name="reg", version="3"),
    post(f"{V2}/registered-models/rename", {"name": "reg", "new_name": "reg2"}),
    post(f"{V2}/registered-models/rename", {"name": "reg2", "new_name": "reg"}),
    patch(f"{V2}/registered-models/update", {"name": "reg", "description": "other"}),
    # A prompt is a registered model with a tag.
    post(
        f"{V2}/registered-models/create",
        {"name": "prompt", "tags": [{"key": "mlflow.prompt.is_prompt", "value": "true"}]},
    ),
    post(
        f"{V2}/model-versions/create",
        {
            "name": "prompt",
            "source": "prompt-template",
            "tags": [
                {"key": "mlflow.prompt.is_prompt", "value": "true"},
                {"key": "mlflow.prompt.text", "value": "Say {{{{x}}}}"},
            ],
        },
    ),
]
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
                "max_results": 5,
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
            "max_results": 5,
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
    post(f"{V2}/traces/link-prompts", {"trace_id": "{trace}", "prompt_versions": [{"name": "prompt", "version": "1"}]}),
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
    get(f"{V2}/traces", experiment_ids="{experiment}", filter="tags.c = 'd'", max_results="5"),
    delete(f"{V3}/traces/{{trace}}/tags", key="k"),
    delete(f"{V3}/traces/{{trace}}/assessments/{{assessment}}"),
    post(f"{V3}/traces/delete-traces", {"experiment_id": "{experiment}", "request_ids": ["{second_trace}"]}),
    post(f"{V3}/traces/delete-traces", {"experiment_id": "{experiment}", "max_timestamp_millis": 5, "max_traces": 5}),
]
EVALUATION = [
    post(
        f"{V3}/datasets/create",
        {"name": "data", "experiment_ids": ["{experiment}"], "source": "s", "tags": '{"a": "b"}', "created_by": "me"},
        dataset="dataset.dataset_id",
    ),
    get(f"{V3}/datasets/{{dataset}}"),
    post(f"{V3}/datasets/{{dataset}}/add-experiments", {"experiment_ids": ["{second}"]}),
    get(f"{V3}/datasets/{{dataset}}/experiment-ids"),
    post(
        f"{V3}/datasets/{{dataset}}/records",
        {"records": '[{"inputs": {"q": "x"}, "expectations": {"e": 1}, "tags": {"t": "v"}}]', "updated_by": "me"},
    ),
    get(f"{V3}/datasets/{{dataset}}/records", max_results="5"),
    patch(f"{V3}/datasets/{{dataset}}/tags", {"tags": '{"c": "d"}'}),
    delete(f"{V3}/datasets/{{dataset}}/tags/c"),
    post(
        f"{V3}/datasets/search",
        {"experiment_ids": ["{experiment}"], "filter_string": "name = 'data'", "max_results": 5, "order_by": ["name"]},
    ),
    delete(f"{V3}/datasets/{{dataset}}/records", dataset_record_ids=["dr-x"]),
    post(f"{V3}/datasets/{{dataset}}/remove-experiments", {"experiment_ids": ["{second}"]}),
    delete(f"{V3}/datasets/{{dataset}}"),
    post(
        f"{V3}/scorers/register", {"experiment_id": "{experiment}", "name": "s", "serialized_scorer": '{"name": "s"}'}
    ),
    get(f"{V3}/scorers/list", experiment_id="{experiment}"),
    get(f"{V3}/scorers/versions", experiment_id="{experiment}", name="s"),
    get(f"{V3}/scorers/get", experiment_id="{experiment}", name="s", version="1"),
    delete(f"{V3}/scorers/delete", experiment_id="{experiment}", name="s", version=1),
    post(
        f"{V3}/issues",
        {"experiment_id": "{experiment}", "name": "i", "description": "d", "root_causes": ["r"], "categories": ["c"]},
        issue="issue.issue_id",
    ),
    get(f"{V3}/issues/{{issue}}"),
    patch(f"{V3}/issues/{{issue}}", {"issue_id": "{issue}", "name": "i2", "description": "d2"}),
    post(
        f"{V3}/issues/search", {"experiment_id": "{experiment}", "filter_string": "status = 'open'", "max_results": 5}
    ),
    post(
        f"{V3}/label-schemas/create",
        {
            "experiment_id": "{experiment}",
            "name": "schema",
            "type": "FEEDBACK",
            "input": {"text": {"max_length": 5}},
            "instruction": "do",
        },
        schema="label_schema.schema_id",
    ),
    get(f"{V3}/label-schemas/get", schema_id="{schema}"),
    get(f"{V3}/label-schemas/get-by-name", experiment_id="{experiment}", name="schema"),
    get(f"{V3}/label-schemas/list", experiment_id="{experiment}", max_results="5"),
    patch(f"{V3}/label-schemas/update", {"schema_id": "{schema}", "name": "schema2", "instruction": "x"}),
    post(
        f"{V3}/review-queues/create",
        {
            "experiment_id": "{experiment}",
            "name": "queue",
            "queue_type": "CUSTOM",
            "created_by": "me",
            "users": ["me"],
            "schema_ids": ["{schema}"],
        },
        queue="review_queue.queue_id",
    ),
    post(f"{V3}/review-queues/get-or-create-user", {"experiment_id": "{experiment}", "user": "me", "created_by": "me"}),
    get(f"{V3}/review-queues/get", queue_id="{queue}"),
    get(f"{V3}/review-queues/get-by-name", experiment_id="{experiment}", name="queue"),
    get(f"{V3}/review-queues/list", experiment_id="{experiment}", user="me", max_results="5"),
    post(f"{V3}/review-queues/items/add", {"queue_id": "{queue}", "item_type": "TRACE", "item_ids": ["{trace}"]}),
    get(f"{V3}/review-queues/items/list", queue_id="{queue}", max_results="5"),
    post(
        f"{V3}/review-queues/items/set-status",
        {"queue_id": "{queue}", "item_id": "{trace}", "status": "COMPLETE", "completed_by": "me"},
    ),
    post(f"{V3}/review-queues/items/remove", {"queue_id": "{queue}", "item_ids": ["{trace}"]}),
    post(
        f"{V3}/review-queues/update", {"queue_id": "{queue}", "name": "queue2", "update_users": True, "users": ["you"]}
    ),
    post(f"{V3}/review-queues/delete", {"queue_id": "{queue}"}),
    delete(f"{V3}/label-schemas/delete", schema_id="{schema}"),
]
GATEWAY = [
    post(
        f"{V3}/gateway/secrets/create",
        {"secret_name": "key", "secret_value": [{"key": "api_key", "value": "sk-1"}], "provider": "openai"},
        secret="secret.secret_id",
    ),
    post(
        f"{V3}/gateway/secrets/create",
        {"secret_name": "key", "secret_value": [{"key": "api_key", "value": "sk-1"}], "provider": "openai"},
    ),
    get(f"{V3}/gateway/secrets/get", secret_id="{secret}"),
    get(f"{V3}/gateway/secrets/list", provider="openai"),
    post(
        f"{V3}/gateway/model-definitions/create",
        {"name": "def", "secret_id": "{secret}", "provider": "openai", "model_name": "gpt"},
        definition="model_definition.model_definition_id",
    ),
    get(f"{V3}/gateway/model-definitions/get", model_definition_id="{definition}"),
    get(f"{V3}/gateway/model-definitions/list", provider="openai"),
    post(f"{V3}/gateway/model-definitions/update", {"model_definition_id": "{definition}", "model_name": "gpt2"}),
    post(
        f"{V3}/gateway/endpoints/create",
        {
            "name": "end",
            "model_configs": [{"model_definition_id": "{definition}", "linkage_type": "PRIMARY", "weight": 1}],
            "created_by": "me",
        },
        endpoint="endpoint.endpoint_id",
    ),
    get(f"{V3}/gateway/endpoints/get", endpoint_id="{endpoint}"),
    get(f"{V3}/gateway/endpoints/list", provider="openai"),
    post(f"{V3}/gateway/endpoints/update", {"endpoint_id": "{endpoint}", "name": "end2"}),
    post(f"{V3}/gateway/endpoints/set-tag", {"endpoint_id": "{endpoint}", "key": "k", "value": "v"}),
    delete(f"{V3}/gateway/endpoints/delete-tag", endpoint_id="{endpoint}", key="k"),
    post(
        f"{V3}/gateway/endpoints/bindings/create",
        {"endpoint_id": "{endpoint}", "resource_type": "scorer", "resource_id": "x", "created_by": "me"},
    ),
    get(f"{V3}/gateway/endpoints/bindings/list", endpoint_id="{endpoint}"),
    delete(
        f"{V3}/gateway/endpoints/bindings/delete", endpoint_id="{endpoint}", resource_type="scorer", resource_id="x"
    ),
    delete(f"{V3}/gateway/endpoints/delete", endpoint_id="{endpoint}"),
    delete(f"{V3}/gateway/model-definitions/delete", model_definition_id="{definition}"),
    delete(f"{V3}/gateway/secrets/delete", secret_id="{secret}"),
    post(
        f"{V3}/gateway/budgets/create",
        {
            "budget_unit": "USD",
            "budget_amount": 5.5,
            "duration": {"unit": "DAYS", "value": 1},
            "target_scope": "GLOBAL",
            "budget_action": "ALERT",
            "created_by": "me",
        },
        budget="budget_policy.budget_policy_id",
    ),
    get(f"{V3}/gateway/budgets/get", budget_policy_id="{budget}"),
    post(f"{V3}/gateway/budgets/update", {"budget_policy_id": "{budget}", "budget_amount": 7.5}),
    get(f"{V3}/gateway/budgets/list", max_results="5"),
    delete(f"{V3}/gateway/budgets/delete", budget_policy_id="{budget}"),
    get(f"{V3}/gateway/guardrails/list", max_results="5"),
    get(f"{V3}/gateway/guardrails/get", guardrail_id="x"),
    post(
        f"{V3}/gateway/guardrails/create",
        {"name": "g", "scorer_id": "x", "scorer_version": 1, "stage": "BEFORE", "action": "VALIDATION"},
    ),
    post(
        f"{V2}/webhooks",
        {
            "name": "hook",
            "url": "https://93.184.216.34/x",
            "events": [{"entity": "MODEL_VERSION", "action": "CREATED"}],
            "description": "d",
        },
        webhook="webhook.webhook_id",
    ),
    get(f"{V2}/webhooks/{{webhook}}"),
    get(f"{V2}/webhooks", max_results="5"),
    patch(f"{V2}/webhooks/{{webhook}}", {"webhook_id": "{webhook}", "name": "hook2", "status": "DISABLED"}),
    delete(f"{V2}/webhooks/{{webhook}}"),
]
USERS = [
    post(f"{V2}/users/create", {"username": "anna", "password": "a-password-of-anna"}),
    post(f"{V2}/users/create", {"username": "anna", "password": "a-password-of-anna"}),
    get(f"{V2}/users/get", username="anna"),
    get(f"{V2}/users/list"),
    get(f"{V2}/users/current"),
    patch(f"{V2}/users/update-password", {"username": "anna", "password": "another-password"}),
    patch(f"{V2}/users/update-admin", {"username": "anna", "is_admin": False}),
    post(
        f"{V3}/users/permissions/grant",
        {"username": "anna", "resource_type": "experiment", "resource_id": "{experiment}", "permission": "READ"},
    ),
    get(f"{V3}/users/permissions/list", username="anna"),
    post(f"{V3}/roles/create", {"name": "role", "description": "d", "workspace": "default"}, role="role.id"),
    post(f"{V3}/roles/create", {"name": "role", "description": "d", "workspace": "default"}),
    get(f"{V3}/roles/get", role_id="{role}"),
    get(f"{V3}/roles/list"),
    post(
        f"{V3}/roles/permissions/add",
        {"role_id": "{role}", "resource_type": "experiment", "resource_pattern": "*", "permission": "READ"},
    ),
    post(f"{V3}/roles/assign", {"username": "anna", "role_id": "{role}"}),
    get(f"{V3}/users/roles/list", username="anna"),
    delete(f"{V3}/roles/delete", role_id="{role}"),
    delete(f"{V2}/users/delete", username="anna"),
]
WORKING = [*EXPERIMENTS, *RUNS, *MODELS, *REGISTRY, *TRACES, *EVALUATION, *GATEWAY, *USERS]


@dataclass(frozen=True)
class Odd:
    """A call that works with one odd value in it."""

    kind: str
    call: Call


def odd(seed: int) -> list[Odd]:
    """Each call that works again, with an odd value in one of its fields at a time; the same ones for a seed.

    Those with what SQLite holds and PostgreSQL does not come last: after them, the servers hold different things.
    """
    return sorted(_odd(random.Random(seed)), key=lambda each: (each.kind in UNSTORABLE, each.kind == "long"))


def _odd(chance: random.Random) -> Iterator[Odd]:
    for call in WORKING:
        for way in _ways(call.fields):
            for kind in sorted(chance.sample(sorted(ODD), 4 if way[-1] in PLACES else 2)):
                fields = copy.deepcopy(call.fields)
                _put(fields, way, ODD[kind])
                yield Odd(kind, Call(call.method, call.path, fields))
        if "{" in call.path:
            start, _, rest = call.path.partition("{")
            for kind in ("10 digits", "text", "quotes", "NUL", "long"):
                path = f"{start}{quote(ODD[kind][:300], safe='')}{rest.partition('}')[2]}"
                yield Odd(kind, Call(call.method, path, call.fields))


def _ways(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict) and value:
        for key, each in value.items():
            yield from _ways(each, (*way, key))
    elif isinstance(value, list) and value:
        yield way
        yield from _ways(value[0], (*way, 0))
    elif way:
        yield way


def _put(fields: Any, way: tuple[Any, ...], value: Any) -> None:
    for each in way[:-1]:
        fields = fields[each]
    fields[way[-1]] = value

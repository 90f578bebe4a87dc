"""The traces and registered models in every store, as MLflow 3.17 stores them. Pure."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bench.run_data import FIRST_START, Rows, Value

TRACES = 10_000
MODELS = 1_000

_INFO_COLUMNS = (
    *("request_id", "experiment_id", "timestamp_ms", "execution_time_ms", "status", "request_preview"),
    *("response_preview", "db_payload_generation", "trace_name", "session_id"),
    *("input_tokens", "output_tokens", "total_tokens"),
)
_PAIR_COLUMNS = ("key", "value", "request_id")
_SPAN_COLUMNS = (
    *("trace_id", "experiment_id", "span_id", "parent_span_id", "name", "type", "status"),
    *("start_time_unix_nano", "end_time_unix_nano", "content", "model_name"),
)
_MODEL_COLUMNS = ("name", "creation_time", "last_updated_time", "description", "workspace")
_VERSION_COLUMNS = (
    *("name", "version", "creation_time", "last_updated_time", "description", "current_stage", "source"),
    *("run_id", "status", "run_link", "storage_location", "workspace"),
)
_SPANS = (("answer", "CHAIN"), ("retrieve", "RETRIEVER"), ("complete", "CHAT_MODEL"))


@dataclass(frozen=True)
class Trace:
    id: str
    start: int
    """Milliseconds since 1970. No two traces start at the same time."""
    milliseconds: int
    status: str
    team: str
    """Value of a tag."""
    kind: str
    """Value of a piece of metadata."""
    session: str
    question: str
    answer: str
    span_ids: list[str]


def traces(first: int, end: int, seed: int) -> Iterator[Trace]:
    """The traces with the numbers from `first` to `end` - 1."""
    for number in range(first, end):
        chance = random.Random(-seed * 1_000_003 - number)
        yield Trace(
            id=f"tr-{chance.getrandbits(128):032x}",
            start=FIRST_START + number * 10_000 + chance.randrange(10_000),
            milliseconds=chance.randrange(50, 5_000),
            status="ERROR" if chance.random() < 0.1 else "OK",
            team=f"team-{chance.randrange(20)}",
            kind=f"k{chance.randrange(5)}",
            session=f"session-{number // 5}",
            question=chance.randbytes(40).hex(),
            answer=chance.randbytes(300).hex(),
            span_ids=[f"{chance.getrandbits(64):016x}" for _ in _SPANS],
        )


def trace_rows(batch: list[Trace], experiment: int) -> Rows:
    """The rows that MLflow's server stores for traces of three spans each."""
    rows: Rows = {
        "trace_info": (_INFO_COLUMNS, []),
        "trace_tags": (_PAIR_COLUMNS, []),
        "trace_request_metadata": (_PAIR_COLUMNS, []),
        "spans": (_SPAN_COLUMNS, []),
    }
    for trace in batch:
        inputs, outputs = json.dumps({"q": trace.question}), json.dumps({"content": trace.answer})
        spans = list(_spans(trace, experiment, inputs, outputs))
        rows["spans"][1].extend(spans)
        rows["trace_info"][1].append(
            (
                *(trace.id, experiment, trace.start, trace.milliseconds, trace.status, inputs, outputs),
                *(1, "answer", trace.session, 12, 34, 46),
            )
        )
        tags = {
            "team": trace.team,
            "mlflow.artifactLocation": f"mlflow-artifacts:/{experiment}/traces/{trace.id}/artifacts",
            "mlflow.trace.spansLocation": "TRACKING_STORE",
        }
        rows["trace_tags"][1].extend((key, value, trace.id) for key, value in tags.items())
        sizes = [len(str(span[9])) for span in spans]
        metadata = {
            "kind": trace.kind,
            "mlflow.source.name": "agent.py",
            "mlflow.source.type": "LOCAL",
            "mlflow.trace.infoFinalized": "true",
            "mlflow.trace.sizeBytes": str(sum(sizes)),
            "mlflow.trace.sizeStats": json.dumps(
                {"total_size_bytes": sum(sizes), "num_spans": len(sizes), "max": max(sizes)}
            ),
            "mlflow.traceInputs": inputs,
            "mlflow.traceOutputs": outputs[:250],
            "mlflow.trace_schema.version": "3",
        }
        rows["trace_request_metadata"][1].extend((key, value, trace.id) for key, value in metadata.items())
    return rows


def _spans(trace: Trace, experiment: int, inputs: str, outputs: str) -> Iterator[tuple[Value, ...]]:
    end = (trace.start + trace.milliseconds) * 1_000_000
    root = trace.span_ids[0]
    for place, (span_id, (name, kind)) in enumerate(zip(trace.span_ids, _SPANS, strict=True)):
        parent = None if span_id == root else root
        # Different starts, because MLflow returns spans with the same start in any order.
        start = (trace.start + place) * 1_000_000
        status = trace.status if parent is None else "OK"
        attributes = {
            "mlflow.traceRequestId": json.dumps(trace.id),
            "mlflow.spanType": json.dumps(kind),
            "mlflow.spanFunctionName": json.dumps(name),
            "mlflow.spanInputs": json.dumps(inputs),
            "mlflow.spanOutputs": json.dumps(outputs),
        }
        content: dict[str, Any] = {
            "trace_id": _base64(trace.id.removeprefix("tr-")),
            "span_id": _base64(span_id),
            "parent_span_id": parent and _base64(parent),
            "name": name,
            "start_time_unix_nano": start,
            "end_time_unix_nano": end,
            "events": [],
            "status": {"code": f"STATUS_CODE_{status}", "message": ""},
            "attributes": attributes,
            "links": [],
        }
        model = "a-model" if kind == "CHAT_MODEL" else None
        yield (trace.id, experiment, span_id, parent, name, kind, status, start, end, json.dumps(content), model)


def _base64(digits: str) -> str:
    return base64.b64encode(bytes.fromhex(digits)).decode()


def model_rows(run_id: str, experiment: int) -> Rows:
    """Registered models with one version each, all from one run."""
    rows: Rows = {"registered_models": (_MODEL_COLUMNS, []), "model_versions": (_VERSION_COLUMNS, [])}
    source = f"mlflow-artifacts:/{experiment}/{run_id}/artifacts/model"
    for number in range(MODELS):
        name, made = f"model-{number:04}", FIRST_START + number * 60_000
        rows["registered_models"][1].append((name, made, made, "", "default"))
        rows["model_versions"][1].append(
            (name, 1, made, made, "", "None", source, run_id, "READY", "", source, "default")
        )
    return rows

"""Spans that OpenTelemetry's exporters send, in one request or in several."""

from __future__ import annotations

import base64
import gzip
import json
import random
import zlib
from collections.abc import Iterator
from itertools import permutations
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from mlflow.tracing.utils.otlp import _set_otel_proto_anyvalue
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from .sides import Request, Sides

PATH = "/v1/traces"
START = 1_700_000_000_123_456_789
MODEL = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.provider.name": "openai"}
USAGE = {"gen_ai.usage.input_tokens": 12, "gen_ai.usage.output_tokens": 9}
INPUTS = {"mlflow.spanInputs": json.dumps({"messages": [{"role": "user", "content": "Why? 名前 😀"}]})}
OUTPUTS = {"mlflow.spanOutputs": json.dumps({"answer": "x" * 2_000})}


def a_span(trace: int, number: int, parent: int = 0, attributes: Any = (), **fields: Any) -> Span:
    span = Span(
        trace_id=trace.to_bytes(16, "big"),
        span_id=number.to_bytes(8, "big"),
        parent_span_id=parent.to_bytes(8, "big") if parent else b"",
        name=f"span {number}",
        start_time_unix_nano=START + number * 10_000_000,
        end_time_unix_nano=START + number * 20_000_000,
    )
    for key, value in dict(attributes).items():
        given = span.attributes.add(key=key)
        _set_otel_proto_anyvalue(given.value, value)
    span.MergeFrom(Span(**fields))
    return span


def message(*spans: Span, resource: Any = ()) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    of_resource = request.resource_spans.add()
    for key, value in dict(resource).items():
        _set_otel_proto_anyvalue(of_resource.resource.attributes.add(key=key).value, value)
    of_resource.scope_spans.add().spans.extend(spans)
    return request


def request(body: bytes, experiment: str = "1", **headers: str) -> Request:
    given = {"content-type": "application/x-protobuf", "x-mlflow-experiment-id": experiment}
    return Request(
        "POST", PATH, body, headers=given | {name.replace("_", "-"): value for name, value in headers.items()}
    )


def export(*spans: Span, resource: Any = (), experiment: str = "1") -> Request:
    return request(message(*spans, resource=resource).SerializeToString(), experiment)


SPANS = {
    "root": lambda trace: a_span(trace, 1, attributes=INPUTS | OUTPUTS, status=Status(code=Status.STATUS_CODE_OK)),
    "model": lambda trace: a_span(trace, 2, 1, MODEL | USAGE),
    "retriever": lambda trace: a_span(trace, 3, 1, {"openinference.span.kind": "RETRIEVER", "input.value": "q"}),
    "summed": lambda trace: a_span(trace, 4, 1, {"mlflow.chat.tokenUsage": json.dumps({"input_tokens": 30})}),
    "below summed": lambda trace: a_span(trace, 5, 4, MODEL | USAGE),
    "failed root": lambda trace: a_span(trace, 6, status=Status(code=Status.STATUS_CODE_ERROR, message="it failed")),
    "session": lambda trace: a_span(trace, 7, 1, {"session.id": "a session", "user.id": "somebody"}),
    "other session": lambda trace: a_span(trace, 8, 1, {"gen_ai.conversation.id": "other", "user.id": "another"}),
    "tagged": lambda trace: a_span(
        trace,
        9,
        attributes={"mlflow.traceTag.t": "1", "mlflow.traceTag.mlflow.traceName": "named", "mlflow.traceTag.": ""},
    ),
    "event": lambda trace: a_span(
        trace,
        10,
        2,
        events=[Span.Event(name="e", time_unix_nano=START)],
        links=[Span.Link(trace_id=b"\1" * 16, span_id=b"\2" * 8)],
    ),
    "running": lambda trace: Span(
        trace_id=trace.to_bytes(16, "big"), span_id=b"\3" * 8, name="", start_time_unix_nano=5
    ),
    "cost": lambda trace: a_span(
        trace, 11, 1, {"mlflow.llm.cost": json.dumps({"input_cost": 0.1, "total_cost": 1e-9})}
    ),
    "no usage": lambda trace: a_span(trace, 12, 1, {"mlflow.chat.tokenUsage": "x", "mlflow.spanType": '{"a": 1}'}),
    "values": lambda trace: a_span(
        trace,
        13,
        1,
        {"list": [1, 0.5, True, None, {"a": "😀"}], "nan": float("nan"), "bytes": "b", "empty": "", "ü": "\u2028"},
    ),
}
"""What a span of a trace can be, by name."""
OTHERS = [name for name in SPANS if name != "root"]


@pytest.fixture
def numbers(sides: Sides) -> Iterator[int]:
    """Numbers of traces that no other test has."""
    return iter(range(random.Random(len(sides.served) + sum(sides.served.values())).getrandbits(60), 2**64))


def start(trace: int, **fields: Any) -> Request:
    info = {
        "trace_id": f"tr-{trace:032x}",
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "2"}},
        "request_time": "2023-11-14T22:13:21.120Z",
        "state": "IN_PROGRESS",
    }
    return Request("POST", "/api/3.0/mlflow/traces", {"trace": {"trace_info": info | fields}})


@pytest.mark.parametrize("name", SPANS)
def test_each_span_alone_and_beside_a_root(sides: Sides, numbers: Iterator[int], name: str) -> None:
    first, second = next(numbers), next(numbers)
    assert sides.is_served(export(SPANS[name](first)))
    assert name == "root" or sides.is_served(export(SPANS[name](second), SPANS["root"](second)))
    sides.compare_rows()
    assert sides.is_served(export(SPANS[name](first))), "sent again"
    assert sides.is_served(export(SPANS["root"](first)))
    sides.compare_rows()


def test_spans_of_a_trace_in_any_order(sides: Sides, numbers: Iterator[int]) -> None:
    for names in permutations(["root", "model", "summed", "below summed"]):
        trace = next(numbers)
        for name in names:
            assert sides.is_served(export(SPANS[name](trace)))
        sides.compare_rows()


@pytest.mark.parametrize("seed", range(25))
def test_several_traces_in_several_requests(sides: Sides, numbers: Iterator[int], seed: int) -> None:
    chance = random.Random(seed)
    traces = [next(numbers) for _ in range(3)]
    for _ in range(4):
        chosen = chance.sample([(trace, name) for trace in traces for name in SPANS], chance.randint(1, 6))
        resource = chance.choice([{}, {"service.name": "claude-code", "host": "h"}, {"mlflow.x": "1", "n": [1, 2]}])
        spans = [SPANS[name](trace) for trace, name in chosen]
        assert sides.is_served(export(*spans, resource=resource, experiment=chance.choice("12")))
        if chance.random() < 0.3:
            state, time = (
                chance.choice(["OK", "IN_PROGRESS"]),
                chance.choice(["2023-11-14T22:13:20Z", "2024-01-01T00:00:00.5Z"]),
            )
            metadata = chance.choice(
                [{}, {"mlflow.trace.tokenUsage": '{"input_tokens": 1}'}, {"mlflow.trace.session": "s"}]
            )
            more: Any = chance.choice([{}, {"execution_duration": "1.5s", "request_preview": "asked"}])
            sides.ask(start(chance.choice(traces), state=state, request_time=time, trace_metadata=metadata, **more))
        sides.compare_rows()


def test_a_trace_that_was_started_before(sides: Sides, numbers: Iterator[int]) -> None:
    for name in SPANS:
        for metadata in (
            {},
            {"mlflow.trace.tokenUsage": '{"input_tokens": 1}', "mlflow.trace.cost": '{"total_cost": 2.5}'},
        ):
            trace = next(numbers)
            sides.ask(start(trace, trace_metadata=metadata, tags={"mlflow.traceName": "its name"}))
            assessment = {"assessment_name": "a", "feedback": {"value": True}, "source": {"source_type": "HUMAN"}}
            path = f"/api/3.0/mlflow/traces/tr-{trace:032x}/assessments"
            sides.ask(Request("POST", path, {"assessment": assessment | {"trace_id": f"tr-{trace:032x}"}}))
            assert sides.is_served(export(SPANS[name](trace)))
            sides.compare_rows()


def test_encodings(sides: Sides, numbers: Iterator[int]) -> None:
    def body() -> bytes:
        trace = next(numbers)
        return message(SPANS["root"](trace), SPANS["model"](trace)).SerializeToString()

    raw = zlib.compressobj(wbits=-15)
    packed = [("gzip", gzip.compress(body())), ("GZIP", gzip.compress(body())), ("deflate", zlib.compress(body()))]
    packed.append(("deflate", raw.compress(body()) + raw.flush()))
    for encoding, content in packed:
        assert sides.is_served(request(content, content_encoding=encoding))
    assert sides.is_served(request(body(), content_type="application/x-protobuf; charset=utf-8"))
    for odd in ("br", "identity", "gzip"):
        assert not sides.is_served(request(body(), content_encoding=odd))
    sides.compare_rows()


def test_json(sides: Sides, numbers: Iterator[int]) -> None:
    for name in SPANS:
        trace = next(numbers)
        written = MessageToDict(message(SPANS[name](trace)))
        for span in written["resourceSpans"][0]["scopeSpans"][0]["spans"]:
            for field in ("traceId", "spanId", "parentSpanId", "links"):
                if field == "links":
                    span.pop(field, None)
                elif field in span:
                    span[field] = base64.b64decode(span[field]).hex()
        for unknown in ({}, {"unknown": 1}):
            content = json.dumps(written | unknown).encode()
            assert sides.is_served(request(content, content_type="application/json"))
    for odd in (b"", b"{}", b"{", b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "xyz"}]}]}]}'):
        assert not sides.is_served(request(odd, content_type="application/json"))
    sides.compare_rows()


def test_mlflow_answers_what_is_not_plain(sides: Sides, numbers: Iterator[int]) -> None:
    trace = next(numbers)
    plain = message(SPANS["root"](trace)).SerializeToString()
    odd = [
        *(request(plain, experiment) for experiment in ("", "x", "-1", "999999", "01")),
        request(plain, content_type="text/plain"),
        request(plain, x_mlflow_run_id="unknown"),
        request(plain, x_mlflow_workspace="default"),
        *(request(content) for content in (b"", b"nonsense", message().SerializeToString())),
        export(a_span(trace, 1, name="a\0b")),
        export(Span(trace_id=b"\1" * 16, name="no id")),
        export(Span(span_id=b"\1" * 8, name="no id")),
        export(SPANS["root"](trace), SPANS["root"](trace)),
        export(a_span(trace, 1, attributes={"session.id": "s" * 251})),
        export(a_span(trace, 1, attributes={"mlflow.spanType": json.dumps("t" * 501)})),
        export(a_span(trace, 1, attributes={"mlflow.spanType": {"a": 1}})),
        export(a_span(trace, 1, attributes={"mlflow.llm.cost": "{"})),
        export(a_span(trace, 1, attributes={"mlflow.traceTag.mlflow.traceName": "n" * 5_000})),
        export(a_span(trace, 1, attributes={"session.id": '"\\ud800"'})),
        export(a_span(trace, 1, attributes={"mlflow.traceTag.t": '"\\ud800"'})),
        export(a_span(trace, 1, start_time_unix_nano=2**64 - 1)),
        Request("GET", PATH),
    ]
    for each in odd:
        assert not sides.is_served(each), each
        sides.compare_rows()


def test_many_spans_and_large_ones(sides: Sides, numbers: Iterator[int]) -> None:
    trace = next(numbers)
    spans = [a_span(trace, number, 1 if number > 1 else 0, {"text": "名" * 500}) for number in range(1, 250)]
    assert sides.is_served(export(*spans))
    sides.compare_rows()


def test_an_experiment_whose_artifacts_go_elsewhere(sides: Sides, numbers: Iterator[int]) -> None:
    served = {
        str(number): sides.is_served(export(SPANS["root"](next(numbers)), experiment=str(number)))
        for number in range(14)
    }
    assert sum(served.values()) >= 3
    sides.compare_rows()
    sides.execute("UPDATE experiments SET lifecycle_stage = 'deleted' WHERE experiment_id = 1")
    assert sides.is_served(export(SPANS["root"](next(numbers))))
    sides.compare_rows()
    sides.execute("UPDATE experiments SET lifecycle_stage = 'active' WHERE experiment_id = 1")
    trace = next(numbers)
    assert sides.is_served(export(SPANS["root"](trace)))
    assert sides.is_served(export(SPANS["model"](trace), experiment="4")), "the trace has its place"
    sides.execute(
        f"UPDATE trace_tags SET value = 'ARCHIVE_REPO' WHERE request_id = 'tr-{trace:032x}'"
        " AND key = 'mlflow.trace.spansLocation'"
    )
    assert not sides.is_served(export(SPANS["model"](trace)))
    sides.compare_rows()


def test_many_clients_send_spans_of_one_trace_at_once(sides: Sides, numbers: Iterator[int]) -> None:
    trace = next(numbers)
    # Of these, the order matters: there are two roots and sessions, and sums of floats.
    unlike = ("failed root", "tagged", "other session", "cost")
    names = ["root", *(name for name in OTHERS if name not in unlike)]
    requests = [export(SPANS[name](trace)) for name in names]
    for each in requests:
        sides.run(sides.mlflow.ask(each, 1))
    assert sides.run(sides.ours.ask_at_once(requests)) == [200] * len(requests)
    sides.compare_rows()

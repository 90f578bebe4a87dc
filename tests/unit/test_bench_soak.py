"""The soak: what its clients do, how their readings are added up, and which outcome is held or not."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from bench.connection import WrongAnswerError
from bench.latencies import Latencies
from bench.soak import Outcome, Sample, check, memory_table, mib_an_hour, routes_table
from bench.soak_client import STEPS, SoakClient, artifact_of
from bench.span_data import SPANS, export_request


def test_quantiles_are_right_within_two_percent() -> None:
    latencies = Latencies()
    for number in range(1, 1_001):
        latencies.add("route", number / 1_000)
    assert latencies.calls("route") == 1_000
    assert latencies.quantiles("route", (0.5, 0.95, 0.99)) == pytest.approx([0.5, 0.95, 0.99], rel=0.02)


def test_the_counts_of_several_processes_add_up() -> None:
    latencies, other = Latencies(), Latencies()
    for _ in range(99):
        latencies.add("a", 0.01)
    other.add("a", 5.0)
    other.add("b", 0.0)
    latencies.merge(json.loads(json.dumps(other.as_json())))
    assert latencies.routes() == ["a", "b"]
    assert latencies.calls("a") == 100
    assert latencies.quantiles("a", (0.99, 1.0)) == pytest.approx([0.01, 5.0], rel=0.02)


def test_the_slope_counts_after_the_settling_time_only() -> None:
    minutes = [number / 2 for number in range(121)]
    # It grows to 500 MiB in ten minutes, and by one MiB a minute from there.
    memory = [min(when * 50, 500 + when - 10) for when in minutes]
    assert mib_an_hour(minutes, memory) == pytest.approx(60.0)
    assert mib_an_hour(minutes[:41], memory[:41]) is None, "ten minutes are too short"


def good() -> Outcome:
    """An outcome with which every rule holds."""
    outcome = Outcome(60.0, budget=88, acknowledged=900, complete=900, ended=900, traces=50, complete_traces=50)
    outcome.samples = [Sample(float(minute), 300.0 + minute / 60, 120.0, 40) for minute in range(60)]
    outcome.latencies.add("runs/create", 0.002)
    return outcome


def test_every_rule_can_hold() -> None:
    assert {each.held for each in check(good())} == {True}


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("no errors", {"error_count": 1}),
        ("every acknowledged run", {"complete": 899}),
        ("every acknowledged run", {"acknowledged": 0, "complete": 0, "ended": 0}),
        ("no run more", {"ended": 901}),
        ("every acknowledged trace", {"complete_traces": 49}),
        ("connections", {"budget": 39}),
        ("memory of the server", {"samples": [Sample(float(m), 300.0 + m / 4, 120.0, 40) for m in range(60)]}),
        ("memory of PostgreSQL", {"samples": [Sample(float(m), 300.0, 120.0 + m / 4, 40) for m in range(60)]}),
    ],
)
def test_a_broken_rule_is_found(rule: str, change: dict[str, Any]) -> None:
    outcome = good()
    for name, value in change.items():
        setattr(outcome, name, value)
    assert [each.rule.startswith(rule) for each in check(outcome) if each.held is False] == [True]


def test_a_short_soak_says_that_it_did_not_measure_the_slope() -> None:
    outcome = good()
    outcome.minutes, outcome.samples = 2.0, outcome.samples[:3]
    assert [each.held for each in check(outcome)][-2:] == [None, None]
    assert memory_table(outcome).rows[-1][0] == "2.0"
    assert routes_table(outcome).rows == [["runs/create", "1", "2 ms", "2 ms", "2 ms"]]


def test_a_trace_has_one_root_and_spans_of_its_own() -> None:
    request = ExportTraceServiceRequest.FromString(export_request(bytes(range(16))))
    spans = request.resource_spans[0].scope_spans[0].spans
    assert len({span.span_id for span in spans}) == len(spans) == SPANS
    assert [span.parent_span_id for span in spans].count(b"") == 1
    assert {span.trace_id for span in spans} == {bytes(range(16))}


class Server(BaseHTTPRequestHandler):
    """A server that keeps one run, and counts what it is asked."""

    protocol_version = "HTTP/1.1"
    # One packet for head and body: the client would acknowledge the first of two 40 ms later.
    wbufsize = -1
    calls: list[str]
    loses = ""
    """A part of the path of the calls that it answers with an error."""
    steps = STEPS
    artifact = artifact_of("r1")

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        type(self).calls.append(path)
        steps = [{"step": step} for step in range(type(self).steps)]
        answers: dict[str, Any] = {
            "create": {"run": {"info": {"run_id": "r1"}}},
            "search": {"runs": [{"info": {"run_id": "r1"}}], "traces": [{"trace_id": "tr-1"}]},
            "get-history": {"metrics": steps},
        }
        word = path.rpartition("/")[2]
        answer = type(self).artifact if word == "model.bin" else json.dumps(answers.get(word, {})).encode()
        lost = type(self).loses and type(self).loses in path
        self.send_response(500 if lost else 200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        assert self.command != "PUT" or body == artifact_of("r1")

    do_GET = do_POST = do_PUT = _answer

    def log_message(self, *_: object) -> None:
        """Keeps the output of the tests clean."""


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[SoakClient]:
    monkeypatch.setattr(Server, "calls", [], raising=False)
    monkeypatch.setattr("bench.soak_client._PAUSE", 0.0)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    command = {"url": f"http://127.0.0.1:{server.server_port}", "experiment": "4", "traces": "3", "seconds": 0.05}
    made = SoakClient(command | {"role": "trainer"})
    yield made
    made._connection.close()
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_trainer_logs_step_by_step_and_counts_what_was_acknowledged(client: SoakClient) -> None:
    client.train()
    assert client.runs == ["r1"]
    assert client.latencies.calls("runs/log-metric") == STEPS
    assert "/api/2.0/mlflow-artifacts/artifacts/4/r1/artifacts/model.bin" in Server.calls


def test_a_reader_checks_the_steps_and_the_artifact(client: SoakClient) -> None:
    client.read()
    assert {"artifact down", "metrics/get-history", "traces/get"} <= set(client.latencies.routes())


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("steps", STEPS - 1, f"came with {STEPS - 1} steps instead of {STEPS}"),
        ("artifact", artifact_of("r2"), "came with another artifact"),
    ],
)
def test_a_reader_finds_a_lost_step_and_a_changed_artifact(
    client: SoakClient, monkeypatch: pytest.MonkeyPatch, name: str, value: object, error: str
) -> None:
    monkeypatch.setattr(Server, name, value)
    with pytest.raises(WrongAnswerError, match=error):
        client.read()


def test_a_run_without_an_acknowledged_end_does_not_count(client: SoakClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Server, "loses", "runs/update")
    answer = client.work()
    assert answer["runs"] == []
    assert answer["error_count"] >= 1
    assert answer["errors"][0].startswith("runs/update: WrongAnswerError POST")


def test_an_agent_counts_its_traces(client: SoakClient) -> None:
    client.send_trace()
    assert client.traces == 1
    assert Server.calls == ["/v1/traces"]

"""One client of the soak: a process that trains, reads or sends traces until its time is over.

Input: one line of JSON, `{"role", "url", "experiment", "traces", "seconds"}`. Output: one line, `{"latencies",
"error_count", "errors", "runs", "traces"}`. `runs` are the ids of the runs whose end the server has acknowledged, and
`traces` is the number of acknowledged traces.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

from bench.connection import AJAX, API, TRACES, Connection, OverLimitError, WrongAnswerError, create_run
from bench.latencies import Latencies
from bench.read_tasks import SAMPLED
from bench.span_data import EXPERIMENT, PATH, TYPE, export_request

STEPS = 50
"""Values of the metric that a run logs, one a call."""
PARAMS = 10
ARTIFACT = 64 << 10
"""Bytes of the artifact of a run."""
_ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
_LIMIT = 60.0
"""Seconds after which a call is an error."""
_KEPT = 20
"""Errors of a client that the report can name."""
_PAUSE = 0.1
"""Seconds between two readings of a reader, and between two traces: a person and an agent wait longer."""
T = TypeVar("T")


def artifact_of(run_id: str) -> bytes:
    """The bytes of a run's artifact, which a reader can check."""
    return hashlib.shake_128(run_id.encode()).digest(ARTIFACT)


class SoakClient:
    """A client that goes on after an error, over a new connection."""

    def __init__(self, command: dict[str, Any]) -> None:
        self.latencies = Latencies()
        self.errors: list[str] = []
        self.error_count = 0
        self.runs: list[str] = []
        self.traces = 0
        self._command = command
        self._connection = Connection(command["url"], _LIMIT)

    def work(self) -> dict[str, Any]:
        turn = {"trainer": self.train, "reader": self.read, "agent": self.send_trace}[self._command["role"]]
        end = time.monotonic() + self._command["seconds"]
        while time.monotonic() < end:
            try:
                turn()
            except WrongAnswerError as error:
                self.error_count += 1
                self.errors = [*self.errors, str(error)[:300]][:_KEPT]
                self._connection.close()
                self._connection = Connection(self._command["url"], _LIMIT)
        self._connection.close()
        return {
            "latencies": self.latencies.as_json(),
            "errors": self.errors,
            "error_count": self.error_count,
            "runs": self.runs,
            "traces": self.traces,
        }

    def train(self) -> None:
        """Log one run: its parameters, a metric step by step, and an artifact."""
        made = self._timed("runs/create", lambda: create_run(self._connection, self._command["experiment"]))
        params = [{"key": f"p{key}", "value": str(key)} for key in range(PARAMS)]
        self._post("runs/log-batch", {"run_id": made, "params": params})
        for step in range(STEPS):
            now = time.time_ns() // 1_000_000
            metric = {"run_id": made, "key": "loss", "value": 1 / (step + 1), "timestamp": now, "step": step}
            self._post("runs/log-metric", metric)
        self._artifact("PUT", made, artifact_of(made))
        end = {"run_id": made, "status": "FINISHED", "end_time": time.time_ns() // 1_000_000}
        self._post("runs/update", end)
        self.runs.append(made)

    def read(self) -> None:
        """Look at the run table, a run, its chart and its artifact, and at the traces and one of them."""
        where = {"experiment_ids": [self._command["experiment"]], "max_results": 100}
        newest = self._post("runs/search", where | {"filter": "status = 'FINISHED'"}, "runs/search, newest")
        self._post("runs/search", where | {"order_by": ["metrics.loss ASC"]}, "runs/search, by a metric")
        if found := json.loads(newest).get("runs"):
            self._read_run(found[-1]["info"]["run_id"])
        place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": self._command["traces"]}}
        body = {"locations": [place], "max_results": 100, "order_by": ["timestamp_ms DESC"]}
        traces = self._timed("traces/search", lambda: self._connection.post_json(f"{TRACES}/search", body))
        if found := traces.get("traces"):
            self._get("traces/get", f"{TRACES}/get", trace_id=found[-1]["trace_id"])
        time.sleep(_PAUSE)

    def _read_run(self, run_id: str) -> None:
        self._get("runs/get", f"{API}/runs/get", run_id=run_id)
        history = self._get("metrics/get-history", f"{API}/metrics/get-history", run_id=run_id, metric_key="loss")
        steps = len(json.loads(history).get("metrics", []))
        if steps != STEPS:
            raise WrongAnswerError(f"run {run_id} came with {steps} steps instead of {STEPS}")
        chart = {"run_ids": [run_id], "metric_key": "loss", "max_results": SAMPLED}
        self._get("metrics/get-history-bulk-interval", f"{AJAX}/metrics/get-history-bulk-interval", **chart)
        self._get("artifacts/list", f"{API}/artifacts/list", run_id=run_id)
        if self._artifact("GET", run_id) != artifact_of(run_id):
            raise WrongAnswerError(f"run {run_id} came with another artifact")

    def send_trace(self) -> None:
        """Send one trace as OpenTelemetry does."""
        headers = {"Content-Type": TYPE, EXPERIMENT: self._command["traces"]}
        body = export_request(os.urandom(16))
        self._timed("OTLP traces", lambda: self._connection.request("POST", PATH, body, headers))
        self.traces += 1
        time.sleep(_PAUSE)

    def _artifact(self, method: str, run_id: str, content: bytes | None = None) -> bytes:
        path = f"{_ARTIFACTS}/{self._command['experiment']}/{run_id}/artifacts/model.bin"
        route = f"artifact {'down' if content is None else 'up'}"
        return self._timed(route, lambda: self._connection.request(method, path, content))

    def _get(self, route: str, path: str, **query: Any) -> bytes:
        return self._timed(route, lambda: self._connection.get(path, **query))

    def _post(self, call: str, body: Any, route: str = "") -> bytes:
        return self._timed(route or call, lambda: self._connection.post(f"{API}/{call}", body))

    def _timed(self, route: str, work: Callable[[], T]) -> T:
        self._connection.set_deadline(_LIMIT)
        began = time.monotonic()
        try:
            answer = work()
        except (OSError, OverLimitError, WrongAnswerError) as error:
            raise WrongAnswerError(f"{route}: {type(error).__name__} {error}") from error
        self.latencies.add(route, time.monotonic() - began)
        return answer


def main() -> None:
    print("{}", flush=True)
    for line in sys.stdin:
        print(json.dumps(SoakClient(json.loads(line)).work()), flush=True)


if __name__ == "__main__":
    main()

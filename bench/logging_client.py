"""One client of the logging tasks: a process that logs for some seconds at each command.

Input: lines of JSON, `{"work": …, "url": …, "experiment": …, "seconds": …, "login": [user, password]}`, so that a
password is in no argument list. The work is a key of `WORK`. Output: a line for each of them, `{"done", "seconds",
"cpu", "errors"}`. `cpu` is this process's processor time in seconds. The end of the input ends the process.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from bench.connection import API, Connection, create_run, log_a_run
from bench.span_data import EXPERIMENT, PATH, TYPE, export_request

Log = Callable[[int], None]


def http_runs(command: dict[str, Any]) -> Log:
    """Logs one run with plain HTTP, over one connection."""
    connection = _connect(command)
    return lambda number: log_a_run(connection, command["experiment"], number)


def mlflow_runs(command: dict[str, Any]) -> Log:
    """Logs the same run with MLflow's client."""
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, RunTag

    for key in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        os.environ.pop(key, None)
    if command["login"]:
        os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"] = command["login"]
    client = MlflowClient(command["url"])

    def log(number: int) -> None:
        run_id = client.create_run(command["experiment"], run_name="logged").info.run_id
        now = time.time_ns() // 1_000_000
        client.log_batch(
            run_id,
            metrics=[Metric(f"m{key}", number + key / 8, now, 0) for key in range(20)],
            params=[Param(f"p{key}", str(number)) for key in range(10)],
            tags=[RunTag(f"t{key}", f"v{number % 10}") for key in range(5)],
            synchronous=True,
        )
        client.set_terminated(run_id)

    return log


def metric_steps(command: dict[str, Any]) -> Log:
    """Logs one metric a call to one run, as a training loop does."""
    connection = _connect(command)
    run_id = create_run(connection, command["experiment"])

    def log(number: int) -> None:
        now = time.time_ns() // 1_000_000
        step = {"run_id": run_id, "key": "loss", "value": 1 / (number + 1), "timestamp": now, "step": number}
        connection.post(f"{API}/runs/log-metric", step)

    return log


def otlp_traces(command: dict[str, Any]) -> Log:
    """Sends one trace a call to the server's OpenTelemetry endpoint."""
    connection = _connect(command)
    headers = {"Content-Type": TYPE, EXPERIMENT: command["experiment"]}

    def log(_: int) -> None:
        connection.request("POST", PATH, export_request(os.urandom(16)), headers)

    return log


WORK: dict[str, Callable[[dict[str, Any]], Log]] = {
    "runs, MLflow's client": mlflow_runs,
    "runs": http_runs,
    "steps": metric_steps,
    "traces": otlp_traces,
}


def _connect(command: dict[str, Any]) -> Connection:
    login = command["login"]
    return Connection(command["url"], 600, tuple(login) if login else None)


def execute(command: dict[str, Any]) -> dict[str, Any]:
    """Log for `seconds`. The last call is finished, and counts. The first error ends it."""
    done, errors = 0, []
    cpu, began = time.process_time(), time.monotonic()
    try:
        log = WORK[command["work"]](command)
        # What comes before the first run, such as making a connection's run, is not measured.
        cpu, began = time.process_time(), time.monotonic()
        while time.monotonic() - began < command["seconds"]:
            log(done)
            done += 1
    except Exception as error:
        errors.append(f"{type(error).__name__}: {error}"[:300])
    return {
        "done": done,
        "seconds": time.monotonic() - began,
        "cpu": time.process_time() - cpu,
        "errors": errors,
    }


def main() -> None:
    # Imports MLflow before the first command, so that the import is not measured. MLflow's output must not mix with
    # the answers, so it goes to standard error.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    sys.stdout = sys.stderr
    import mlflow

    assert mlflow.__version__
    print("{}", file=answers)
    for line in sys.stdin:
        print(json.dumps(execute(json.loads(line))), file=answers)


if __name__ == "__main__":
    main()

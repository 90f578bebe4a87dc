"""One client of the logging tasks: a process that logs runs for some seconds at each command.

Input: lines of JSON, `{"mode": "mlflow" | "http", "url": …, "experiment": …, "seconds": …, "login": [user, password]}`;
so a password is in no argument list. Output: for each a line, `{"runs", "seconds", "cpu", "errors"}`; cpu is this
process's processor time in seconds. The end of the input ends the process.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from bench.connection import Connection, log_a_run


def http_logger(command: dict[str, Any]) -> Callable[[int], None]:
    """A function that logs one run with plain HTTP, over one connection."""
    login = command["login"]
    connection = Connection(command["url"], 600, tuple(login) if login else None)
    return lambda number: log_a_run(connection, command["experiment"], number)


def mlflow_logger(command: dict[str, Any]) -> Callable[[int], None]:
    """A function that logs the same run with MLflow's client."""
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


def execute(command: dict[str, Any]) -> dict[str, Any]:
    """Log runs for `seconds`. The last run is finished, and counts."""
    log = {"http": http_logger, "mlflow": mlflow_logger}[command["mode"]](command)
    runs, errors = 0, []
    cpu, began = time.process_time(), time.monotonic()
    while time.monotonic() - began < command["seconds"]:
        try:
            log(runs)
        except Exception as error:
            errors.append(f"{type(error).__name__}: {error}"[:300])
        else:
            runs += 1
    return {
        "runs": runs,
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

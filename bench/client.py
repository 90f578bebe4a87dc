"""One client of the logging cells: a process that logs runs for some seconds, whenever it is told to.

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

from bench.wire import Wire, log_a_run


def http_logger(order: dict[str, Any]) -> Callable[[int], None]:
    """Logs one run through plain HTTP, over one connection."""
    login = order["login"]
    wire = Wire(order["url"], 600, tuple(login) if login else None)
    return lambda number: log_a_run(wire, order["experiment"], number)


def mlflow_logger(order: dict[str, Any]) -> Callable[[int], None]:
    """Logs the same run through MLflow's client."""
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, RunTag

    for key in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        os.environ.pop(key, None)
    if order["login"]:
        os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"] = order["login"]
    client = MlflowClient(order["url"])

    def log(number: int) -> None:
        run_id = client.create_run(order["experiment"], run_name="logged").info.run_id
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


def obey(order: dict[str, Any]) -> dict[str, Any]:
    """Log until the time is over; the run that is then on its way is finished and counted."""
    log = {"http": http_logger, "mlflow": mlflow_logger}[order["mode"]](order)
    runs, errors = 0, []
    cpu, began = time.process_time(), time.monotonic()
    while time.monotonic() - began < order["seconds"]:
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
    # Before the first order, or its import would be timed. Our own output goes by the real one, MLflow's nowhere.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    sys.stdout = sys.stderr
    import mlflow

    assert mlflow.__version__
    print("{}", file=answers)
    for line in sys.stdin:
        print(json.dumps(obey(json.loads(line))), file=answers)


if __name__ == "__main__":
    main()

"""One client of the load: logs through MLflow's own client, one write after the other, until its input ends.

Input: one line of JSON, `{"url": …, "environment": {…}}`; the end of the input is the order to stop. So a secret is
neither in the arguments nor in the environment that a process list shows, and no client outlives its test.

Arguments: the file for acknowledged writes and the file for errors, both of lines of JSON:
`[kind, run_id, key, value, seconds]`, appended after the call returned, and `[error, seconds]`.
"""

from __future__ import annotations

import itertools
import json
import os
import select
import sys
import time
from pathlib import Path

from mlflow import MlflowClient

WRITES_OF_A_RUN = 25
"""The first makes the run."""

RARE = {8: "param", 16: "tag", WRITES_OF_A_RUN - 1: "end"}
"""Kind of the writes that are not a metric, by place within the run: 4 % each, as for the making of a run."""


def write(client: MlflowClient, kind: str, run_id: str, key: str, value: str) -> str:
    """One write, acknowledged when this returns; returns the id of the run it belongs to. Errors are the client's."""
    match kind:
        case "run":
            return str(client.create_run("0").info.run_id)
        case "metric":
            client.log_metric(run_id, key, float(value), step=int(value), synchronous=True)
        case "param":
            client.log_param(run_id, key, value, synchronous=True)
        case "tag":
            client.set_tag(run_id, key, value, synchronous=True)
        case "end":
            client.set_terminated(run_id)
    return run_id


def told_to_stop() -> bool:
    return bool(select.select([sys.stdin], [], [], 0)[0])


def main(acknowledged: Path, errors: Path) -> None:
    order = json.loads(sys.stdin.readline())
    os.environ.update(order["environment"])
    client = MlflowClient(order["url"])
    run_id = ""
    with acknowledged.open("a", buffering=1) as good, errors.open("a", buffering=1) as bad:
        for number in itertools.count():
            if told_to_stop():
                return
            # Without a run, as after an error in making one, nothing but a run can be written.
            kind = RARE.get(number % WRITES_OF_A_RUN, "metric") if run_id else "run"
            # A metric's key comes again with the next step; a parameter's and a tag's hold the one value for ever.
            key = f"{kind}-{number % 5 if kind == 'metric' else number}"
            began = time.monotonic()
            try:
                run_id = write(client, kind, run_id, key, str(number))
            except Exception as error:
                text = f"{kind}: {type(error).__name__}: {error}"[:1_000]
                print(json.dumps([text, time.monotonic() - began]), file=bad)
            else:
                print(json.dumps([kind, run_id, key, str(number), time.monotonic() - began]), file=good)
            if kind == "end":
                run_id = ""


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

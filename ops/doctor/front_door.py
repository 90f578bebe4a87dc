"""Whether a run can be logged through the front door and read back. It is taken away again, row by row."""

from __future__ import annotations

import re
import time
from typing import Any
from urllib.parse import quote

from ..inside import InsideError
from .check import Verdict, broken, ok
from .door import Door, DoorError
from .subject import Subject

EXPERIMENT = "mlflow-postgres doctor"
"""Stays, empty: one that is made anew every minute would use up numbers."""

# What a look that was killed has left goes with a later one. One in the middle of its own is younger, in seconds.
_LEFT_BEHIND = 600

# The tables whose rows name a run and would keep it from going. Those that go or forget it by themselves are not asked.
_NAMING = """
SELECT conrelid::regclass AS name, quote_ident(attname) AS run
  FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
 WHERE contype = 'f' AND confrelid = 'public.runs'::regclass AND confdeltype IN ('a', 'r') AND cardinality(conkey) = 1
 ORDER BY 1
"""


def look(subject: Subject) -> Verdict:
    """A run is made, a metric and a parameter logged and read back, and all of it deleted."""
    # Without them the door stays shut, which is reported where they are looked at.
    subject.running("mlflow")
    if subject.has_gateway:
        subject.running("gateway")
    try:
        with Door(subject) as door:
            began = time.monotonic()
            experiment = _experiment(door)
            try:
                _log(door, experiment)
                took = time.monotonic() - began
            finally:
                _take_away(subject, experiment)
    except DoorError as error:
        return broken(str(error), f"{subject.make_logs}, which says why")
    return ok(f"logged through {door.url}, read back and deleted in {took * 1000:.0f} ms")


def _experiment(door: Door) -> str:
    """Id of the experiment for these runs, which is made if it is not there, and brought back if it was deleted."""
    try:
        found = door.call("GET", f"experiments/get-by-name?experiment_name={quote(EXPERIMENT)}")["experiment"]
    except DoorError as error:
        if error.status != 404:
            raise
        return _number(door.call("POST", "experiments/create", name=EXPERIMENT)["experiment_id"])
    if found["lifecycle_stage"] != "active":
        door.call("POST", "experiments/restore", experiment_id=found["experiment_id"])
    return _number(found["experiment_id"])


def _log(door: Door, experiment: str) -> None:
    now = int(time.time() * 1000)
    run = door.call("POST", "runs/create", experiment_id=experiment, start_time=now, run_name="doctor")
    identity = run["run"]["info"]["run_id"]
    metric: dict[str, Any] = {"key": "asked", "value": 1.0, "timestamp": now, "step": 0}
    door.call("POST", "runs/log-batch", run_id=identity, metrics=[metric], params=[{"key": "asked", "value": "yes"}])
    data = door.call("GET", f"runs/get?run_id={quote(identity)}")["run"]["data"]
    read = [(each["key"], each["value"]) for each in (*data.get("metrics", ()), *data.get("params", ()))]
    if read != [("asked", 1.0), ("asked", "yes")]:
        raise DoorError(f"what was logged through {door.url} was not read back: {read}")
    door.call("POST", "runs/delete", run_id=identity)


def _take_away(subject: Subject, experiment: str) -> None:
    """Delete what is deleted for MLflow, and what a former look has left, for good: MLflow would keep it."""
    before = int((time.time() - _LEFT_BEHIND) * 1000)
    runs = (
        f"SELECT run_uuid FROM public.runs WHERE experiment_id = {experiment}"
        f" AND (lifecycle_stage = 'deleted' OR start_time < {before})"
    )
    try:
        naming = [(each["name"], each["run"]) for each in subject.rows(_NAMING)]
        # Another version of MLflow may have others. In one transaction, so all of it or nothing.
        orders = [
            f"DELETE FROM {table} WHERE {run} IN ({runs})" for table, run in (*naming, ("public.runs", "run_uuid"))
        ]
        subject.ask("; ".join(orders))
    except InsideError as error:
        raise DoorError(f"the run could not be taken away: {error}") from None


def _number(identity: str) -> str:
    """An id that goes into SQL as it is. Raises `DoorError` for anything but a number."""
    if not re.fullmatch(r"\d+", identity):
        raise DoorError(f"the experiment's id is {identity!r}: it must be a number")
    return identity

"""Checks that a run can be logged at the tracking URL and read back. Its rows are deleted afterwards."""

from __future__ import annotations

import re
import time
from typing import Any
from urllib.parse import quote

from contract import roles

from ..execution import ExecutionError
from .api_client import ApiClient, ApiError
from .check import Verdict, broken, ok
from .subject import Subject

EXPERIMENT = "mlflow-postgres doctor"
"""The experiment is kept, empty: a new one for every check would use up ids."""

# Seconds. Older runs were left by a killed check. Runs of a running check are younger.
_LEFT_BEHIND = 600

# The tables whose foreign keys prevent the deletion of a run. Without those that cascade.
_REFERENCES = """
SELECT conrelid::regclass AS name, quote_ident(attname) AS run
  FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
 WHERE contype = 'f' AND confrelid = 'public.runs'::regclass AND confdeltype IN ('a', 'r') AND cardinality(conkey) = 1
 ORDER BY 1
"""


def check(subject: Subject) -> Verdict:
    """A run is created, a metric and a parameter are logged and read back, and all of it is deleted."""
    # Skip the check if they do not run. Another check reports that.
    subject.running(roles.MLFLOW)
    if subject.has_gateway:
        subject.running(roles.GATEWAY)
    try:
        with ApiClient(subject) as client:
            began = time.monotonic()
            experiment = _experiment(client)
            try:
                _log(client, experiment)
                took = time.monotonic() - began
            finally:
                _delete(subject, experiment)
    except ApiError as error:
        return broken(str(error), f"{subject.make_logs}, which says why")
    return ok(f"logged through {client.url}, read back and deleted in {took * 1000:.0f} ms")


def _experiment(client: ApiClient) -> str:
    """The id of the experiment for these runs. Creates it, or restores it if it was deleted."""
    try:
        found = client.call("GET", f"experiments/get-by-name?experiment_name={quote(EXPERIMENT)}")["experiment"]
    except ApiError as error:
        if error.status != 404:
            raise
        return _number(client.call("POST", "experiments/create", name=EXPERIMENT)["experiment_id"])
    if found["lifecycle_stage"] != "active":
        client.call("POST", "experiments/restore", experiment_id=found["experiment_id"])
    return _number(found["experiment_id"])


def _log(client: ApiClient, experiment: str) -> None:
    now = int(time.time() * 1000)
    run = client.call("POST", "runs/create", experiment_id=experiment, start_time=now, run_name="doctor")
    identity = run["run"]["info"]["run_id"]
    metric: dict[str, Any] = {"key": "asked", "value": 1.0, "timestamp": now, "step": 0}
    client.call("POST", "runs/log-batch", run_id=identity, metrics=[metric], params=[{"key": "asked", "value": "yes"}])
    data = client.call("GET", f"runs/get?run_id={quote(identity)}")["run"]["data"]
    read = [(each["key"], each["value"]) for each in (*data.get("metrics", ()), *data.get("params", ()))]
    if read != [("asked", 1.0), ("asked", "yes")]:
        raise ApiError(f"what was logged through {client.url} was not read back: {read}")
    client.call("POST", "runs/delete", run_id=identity)


def _delete(subject: Subject, experiment: str) -> None:
    """Delete the rows of the run, and of runs of killed checks: MLflow only marks a deleted run."""
    before = int((time.time() - _LEFT_BEHIND) * 1000)
    runs = (
        f"SELECT run_uuid FROM public.runs WHERE experiment_id = {experiment}"
        f" AND (lifecycle_stage = 'deleted' OR start_time < {before})"
    )
    try:
        references = [(each["name"], each["run"]) for each in subject.rows(_REFERENCES)]
        # Another version of MLflow may have other tables. psql runs all of it in one transaction.
        statements = [
            f"DELETE FROM {table} WHERE {run} IN ({runs})" for table, run in (*references, ("public.runs", "run_uuid"))
        ]
        subject.query("; ".join(statements))
    except ExecutionError as error:
        raise ApiError(f"the run could not be deleted: {error}") from None


def _number(identity: str) -> str:
    """Check an id before it is used in SQL. Raises `ApiError` if it is not a number."""
    if not re.fullmatch(r"\d+", identity):
        raise ApiError(f"the experiment's id is {identity!r}: it must be a number")
    return identity

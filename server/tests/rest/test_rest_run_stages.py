"""Runs: delete and restore."""

from __future__ import annotations

from typing import Any

import pytest

from .sides import Request, Sides

RUNS = "/api/2.0/mlflow/runs"


def new(sides: Sides) -> str:
    """Id of a new run."""
    body = {"experiment_id": "0", "start_time": 5, "run_name": "run", "tags": [{"key": "t", "value": "1"}]}
    run_id: str = sides.ask(Request("POST", f"{RUNS}/create", body)).body["run"]["info"]["run_id"]
    return run_id


def call(name: str, body: Any) -> Request:
    return Request("POST", f"{RUNS}/{name}", body)


def test_a_run_is_deleted_and_restored_as_mlflow_does(sides: Sides) -> None:
    run_id, other = new(sides), new(sides)
    for name in ("delete", "delete", "restore", "restore", "delete", "restore"):
        assert sides.is_served(call(name, {"run_id": run_id})), name
        sides.compare_rows()
        for each in (run_id, other):
            sides.ask(Request("GET", f"{RUNS}/get", query={"run_id": each}))
    sides.ask(call("search", {"experiment_ids": ["0"], "run_view_type": "ALL"}))


@pytest.mark.parametrize("name", ["delete", "restore"])
def test_mlflow_answers_for_what_is_not_plain(sides: Sides, name: str) -> None:
    run_id = new(sides)
    bodies: list[Any] = [
        *({"run_id": each} for each in ("", "nowhere", None, 5, run_id + "\n", run_id.upper() + "X", "a\0b")),
        *({"run_id": run_id} | more for more in ({"unknown": 1}, {"run_uuid": run_id}, {"runId": run_id})),
        *({}, [], "", "null", {"runId": run_id}, {"run_uuid": run_id}),
    ]
    for body in bodies:
        assert not sides.is_served(call(name, body)), body
        sides.compare_rows()
    assert not sides.is_served(Request("POST", f"{RUNS}/{name}", {"run_id": run_id}, query={"run_id": run_id}))
    sides.compare_rows()


def test_a_run_that_lacks_columns_is_deleted_as_well(sides: Sides) -> None:
    run_id = new(sides)
    sides.execute(f"UPDATE runs SET user_id = NULL, status = NULL, start_time = NULL WHERE run_uuid = '{run_id}'")
    for name in ("delete", "restore"):
        assert sides.is_served(call(name, {"run_id": run_id}))
        sides.compare_rows()


def test_mlflow_deletes_a_run_with_its_assessments(sides: Sides) -> None:
    run_id, other = new(sides), new(sides)
    sides.execute(
        "INSERT INTO trace_info (request_id, experiment_id, timestamp_ms, status) VALUES ('tr-1', 0, 1, 'OK')",
        "INSERT INTO assessments (assessment_id, trace_id, name, assessment_type, value,"
        " created_timestamp, last_updated_timestamp, source_type, valid, assessment_metadata)"
        " VALUES ('a', 'tr-1', 'a', 'feedback', '1', 1, 1, 'HUMAN', TRUE,"
        f""" '{{"x": 1, "mlflow.assessment.sourceRunId": "{run_id}"}}')""",
    )
    assert sides.is_served(call("delete", {"run_id": other}))
    assert not sides.is_served(call("delete", {"run_id": run_id}))
    sides.compare_rows()
    assert sides.is_served(call("restore", {"run_id": run_id}))
    assert sides.is_served(call("delete", {"run_id": run_id})), "MLflow has deleted its assessments"
    sides.compare_rows()

"""The comparison finds faults: each is planted in our application, and must be seen."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from mlflow_postgres.rest import answers, batches, database, experiments, histories, pages, runs, searches, tags
from mlflow_postgres.rest.errors import NotServed

from .sides import Request, Sides

RUNS = "/api/2.0/mlflow/runs"
METRICS = [{"key": "m", "value": value, "timestamp": 5, "step": step} for value, step in ((1, 2), (2, 1), (-0.0, 3))]


def use(sides: Sides) -> None:
    """One of each call, and a look at all rows."""
    body = {"experiment_id": "0", "start_time": 5, "run_name": "é", "tags": [{"key": "t", "value": "1"}]}
    run_id = sides.ask(Request("POST", f"{RUNS}/create", body)).body["run"]["info"]["run_id"]
    sides.ask(Request("POST", f"{RUNS}/create", body | {"run_name": "other", "start_time": 4}))
    for metrics in (METRICS[:2], METRICS[2:], METRICS):
        params = [{"key": "p", "value": "1"}]
        sides.ask(Request("POST", f"{RUNS}/log-batch", {"run_id": run_id, "metrics": metrics, "params": params}))
        sides.ask(Request("GET", f"{RUNS}/get", query={"run_id": run_id}))
    sides.ask(Request("POST", f"{RUNS}/log-parameter", {"run_id": run_id, "key": "p", "value": "2"}))
    sides.ask(Request("POST", f"{RUNS}/delete-tag", {"run_id": run_id, "key": "t"}))
    sides.ask(Request("POST", f"{RUNS}/update", {"run_id": run_id, "status": "FAILED", "end_time": 0}))
    history = {"run_id": run_id, "metric_key": "m", "max_results": 2}
    sides.ask(Request("GET", "/api/2.0/mlflow/metrics/get-history", query=history))
    sides.ask(Request("POST", f"{RUNS}/search", {"experiment_ids": ["0"], "max_results": 1}))
    sides.ask(Request("POST", f"{RUNS}/search", {"experiment_ids": ["0"]}))
    sides.ask(Request("GET", "/api/2.0/mlflow/experiments/get", query={"experiment_id": "1"}))
    sides.compare_rows()


FAULTS: list[tuple[ModuleType, str, str, str]] = [
    (runs, "_CREATE", "'RUNNING'", "'FINISHED'"),
    (runs, "_CREATE", "'UNKNOWN'", "'LOCAL'"),
    (runs, "_CREATE", "'/artifacts'", "'/artifact'"),
    (runs, "_UPDATE", "coalesce(%(end_time)s::bigint, end_time)", "end_time"),
    (runs, "_UPDATE", "nullif(run.end_time, 0)", "run.end_time"),
    (runs, "_GET", "'NaN' ELSE value", "'NaN' ELSE abs(value)"),
    (batches, "_LOG", "> (old.step", "< (old.step"),
    (batches, "_LOG", "old.value <> new.value", "FALSE"),
    (batches, "_LOG", "ORDER BY key, place ON CONFLICT DO NOTHING", "WHERE step > 1 ON CONFLICT DO NOTHING"),
    (tags, "_DELETE", "tags.key = %(key)s::varchar", "tags.key = 'mlflow.runName'"),
    (histories, "_GET", "ORDER BY timestamp, step", "ORDER BY timestamp, step DESC"),
    (searches, "_SEARCH", "ORDER BY place", "ORDER BY place DESC"),
    (searches, "_SEARCH", "OFFSET %(offset)s::bigint", "OFFSET %(offset)s::bigint + 1"),
    (experiments, "_GET", "'lifecycle_stage', lifecycle_stage,", ""),
]


@pytest.fixture
def clean(sides: Sides) -> Sides:
    sides.execute("TRUNCATE runs CASCADE")
    use(sides)
    sides.execute("TRUNCATE runs CASCADE")
    return sides


@pytest.mark.parametrize(
    ("module", "name", "right", "wrong"), FAULTS, ids=[f"{each[0].__name__}.{each[1]}: {each[3]}" for each in FAULTS]
)
def test_a_wrong_statement_is_found(
    clean: Sides, monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str, right: str, wrong: str
) -> None:
    statement = getattr(module, name)
    assert right in statement
    monkeypatch.setattr(module, name, statement.replace(right, wrong))
    with pytest.raises(AssertionError):
        use(clean)


def written_and_handed_on(write: Callable[..., Any]) -> Callable[..., Any]:
    async def write_and_raise(*arguments: Any) -> None:
        await write(*arguments)
        raise NotServed

    return write_and_raise


def test_a_call_that_is_written_and_then_given_to_mlflow_is_found(
    clean: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database.Database, "write", written_and_handed_on(database.Database.write))
    with pytest.raises(AssertionError):
        use(clean)


def test_wrong_json_is_found(clean: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, wrong in (
        (answers, "ascii_json", lambda body: body.replace("é".encode(), b"e")),
        (answers, "EMPTY", b'{"run":{}}'),
        (pages, "token", lambda rows: b"%d" % rows),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, wrong)
            with pytest.raises(AssertionError):
                use(clean)
        clean.execute("TRUNCATE runs CASCADE")

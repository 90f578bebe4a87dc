"""The comparison finds faults: each is planted in our application, and must be seen."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from mlflow_postgres.rest import (
    answers,
    batches,
    database,
    datasets,
    experiment_searches,
    experiments,
    histories,
    inputs,
    pages,
    run_stages,
    runs,
    sampled_histories,
    searches,
    tags,
)
from mlflow_postgres.rest.errors import NotServed

from .sides import Request, Sides

RUNS = "/api/2.0/mlflow/runs"
METRICS = [{"key": "m", "value": value, "timestamp": 5, "step": step} for value, step in ((1, 2), (2, 1), (-0.0, 3))]


def use(sides: Sides) -> None:
    """One of each call, and a look at all rows."""
    body = {"experiment_id": "0", "start_time": 5, "run_name": "é", "tags": [{"key": "t", "value": "1"}]}
    run_id = sides.ask(Request("POST", f"{RUNS}/create", body)).body["run"]["info"]["run_id"]
    body |= {"run_name": "other", "start_time": 4}
    other = sides.ask(Request("POST", f"{RUNS}/create", body)).body["run"]["info"]["run_id"]
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
    steps = [{"key": "n", "value": step, "timestamp": 9 - step, "step": step} for step in range(7)]
    sides.ask(Request("POST", f"{RUNS}/log-batch", {"run_id": run_id, "metrics": steps}))
    bulk = {"run_id": run_id, "metric_key": "n"}
    sides.ask(Request("GET", "/ajax-api/2.0/mlflow/metrics/get-history-bulk", query=bulk))
    # Two values of each step.
    twice = [{"key": "o", "value": value, "timestamp": 9 - value, "step": value // 2} for value in range(9)]
    sides.ask(Request("POST", f"{RUNS}/log-batch", {"run_id": run_id, "metrics": twice}))
    for key in ("n", "o"):
        for most in (1, 2, 5):
            sample = {"run_ids": run_id, "metric_key": key, "max_results": most}
            sides.ask(Request("GET", "/api/2.0/mlflow/metrics/get-history-bulk-interval", query=sample))
    dataset = {"name": "d", "digest": "1", "source_type": "s", "source": "{}", "schema": "{}"}
    inputs = [{"dataset": dataset, "tags": [{"key": "mlflow.data.context", "value": "train"}]}]
    for each in (run_id, run_id, other):
        sides.ask(Request("POST", f"{RUNS}/log-inputs", {"run_id": each, "datasets": inputs}))
    sides.ask(Request("POST", "/ajax-api/2.0/mlflow/experiments/search-datasets", {"experiment_ids": ["0"]}))
    for text in ("dataset.name = 'd'", "dataset.context = 'train'", "dataset.name != 'd'"):
        sides.ask(Request("POST", f"{RUNS}/search", {"experiment_ids": ["0"], "filter": text}))
    sides.compare_rows()
    sides.ask(Request("POST", f"{RUNS}/delete", {"run_id": run_id}))
    sides.compare_rows()
    sides.ask(Request("POST", f"{RUNS}/restore", {"run_id": run_id}))
    sides.ask(Request("GET", "/api/2.0/mlflow/experiments/get", query={"experiment_id": "1"}))
    for value in ("1", "2"):
        tag = {"experiment_id": "1", "key": "fault", "value": value}
        sides.ask(Request("POST", "/api/2.0/mlflow/experiments/set-experiment-tag", tag))
        sides.compare_rows()
    for text in ("tags.fault = '2'", "tags.fault IS NULL", "name LIKE '%e%'", "experiment_id != '1'"):
        asked = {"max_results": 3, "filter": text, "order_by": ["name"]}
        sides.ask(Request("POST", "/api/2.0/mlflow/experiments/search", asked))
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
    (experiments, "_SET_TAG", "value = excluded.value", "value = experiment_tags.value"),
    (experiment_searches, "_SEARCH", "OFFSET", "NULLS FIRST OFFSET 1 +"),
    (experiment_searches, "_SEARCH", "AND {condition}", ""),
    (histories, "_GET_BULK", "timestamp, step, metrics.value", "step, timestamp, metrics.value"),
    (histories, "_GET_BULK", "|| run_uuid ||", "|| key ||"),
    (sampled_histories, "_GET", "THEN total", "THEN total - 1"),
    (sampled_histories, "_GET", "least(bucket, larger)", "0"),
    (sampled_histories, "_GET", "ORDER BY step, timestamp", "ORDER BY timestamp, step"),
    (sampled_histories, "_GET", "count(*) = least", "count(*) >= least"),
    (sampled_histories, "_GET_WITH_EQUAL_STEPS", "number = total - 1", "number = total - 2"),
    (sampled_histories, "_GET_WITH_EQUAL_STEPS", "%(most)s::bigint - 1) + larger", "%(most)s::bigint - 1)"),
    (sampled_histories, "_GET_WITH_EQUAL_STEPS", "ORDER BY step, timestamp", "ORDER BY timestamp, step"),
    (run_stages, "_DELETE", "deleted_time = %(now)s::bigint", "deleted_time = 5"),
    (run_stages, "_RESTORE", ", deleted_time = NULL", ""),
    (inputs, "_LOG", "coalesce(old_uuid, dataset_uuid)", "dataset_uuid"),
    (inputs, "_LOG", "profile\n    FROM new, run WHERE old_uuid IS NULL", "NULL\n    FROM new, run WHERE FALSE"),
    (inputs, "_LOG", "SELECT input_uuid, name, value", "SELECT input_uuid, name, name"),
    (datasets, "_SEARCH", "nullif(context, '')", "nullif(context, 'train')"),
]


@pytest.fixture
def clean(sides: Sides) -> Sides:
    sides.execute(
        "TRUNCATE runs, datasets, inputs, input_tags CASCADE", "DELETE FROM experiment_tags WHERE key = 'fault'"
    )
    use(sides)
    sides.execute(
        "TRUNCATE runs, datasets, inputs, input_tags CASCADE", "DELETE FROM experiment_tags WHERE key = 'fault'"
    )
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
        clean.execute("TRUNCATE runs, datasets, inputs, input_tags CASCADE")

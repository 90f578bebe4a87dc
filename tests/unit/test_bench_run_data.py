"""The rows in the stores: the same on every system, however the store grew, and as MLflow stores them."""

from __future__ import annotations

import json

import pytest

from bench import options, run_data, trace_data
from bench.searches import PAGE, SEARCHES, Tally

SEED = 7


def test_a_store_grown_in_steps_equals_one_grown_at_once() -> None:
    steps = [*run_data.runs(0, 10, SEED), *run_data.runs(10, 40, SEED)]
    assert steps == list(run_data.runs(0, 40, SEED))


def test_another_seed_gives_other_runs() -> None:
    first, other = ({run.id for run in run_data.runs(0, 50, seed)} for seed in (SEED, SEED + 1))
    assert first.isdisjoint(other)


def test_ids_and_starts_are_unique_so_every_order_is_unambiguous() -> None:
    runs = list(run_data.runs(0, 2_000, SEED))
    assert len({run.id for run in runs}) == len({run.start for run in runs}) == 2_000
    assert [run.start for run in runs] == sorted(run.start for run in runs)
    assert len({run.metrics[3] for run in runs}) == 2_000, "a search ordered by it would have two right answers"


def test_a_run_becomes_the_rows_that_mlflow_stores() -> None:
    rows = run_data.run_rows(run_data.runs(0, 3, SEED), experiment=9)
    counts = {table: len(values) for table, (_, values) in rows.items()}
    assert counts == {"runs": 3, "metrics": 60, "latest_metrics": 60, "params": 30, "tags": 27}
    for columns, values in rows.values():
        assert {len(value) for value in values} == {len(columns)}
    assert next(iter(rows)) == "runs", "the others refer to it"


@pytest.mark.parametrize("steps", run_data.STEPS)
def test_a_long_history_belongs_to_a_run_of_its_own(steps: int) -> None:
    run_id, rows = run_data.history_rows(steps, 3, SEED)
    others = {run.id for run in run_data.runs(0, 1_000, SEED)}
    others |= {run_data.history_rows(each, 3, SEED)[0] for each in run_data.STEPS if each != steps}
    assert run_id not in others
    assert [row[3] for row in rows["metrics"][1] if row[0] == "loss"] == list(range(steps))
    assert [row[3] for row in rows["latest_metrics"][1] if row[0] == "loss"] == [steps - 1]


def test_traces_are_reproducible_and_spans_agree_with_their_columns() -> None:
    batch = list(trace_data.traces(0, 5, SEED))
    assert batch == list(trace_data.traces(0, 5, SEED))
    rows = trace_data.trace_rows(batch, experiment=4)
    for columns, values in rows.values():
        assert {len(value) for value in values} == {len(columns)}
    columns, spans = rows["spans"]
    assert len(spans) == 15
    starts = {(span[columns.index("trace_id")], span[columns.index("start_time_unix_nano")]) for span in spans}
    assert len(starts) == 15, "MLflow returns spans with the same start in any order"
    for span in (dict(zip(columns, each, strict=True)) for each in spans):
        content = json.loads(str(span["content"]))
        assert content["name"] == span["name"]
        assert json.loads(content["attributes"]["mlflow.traceRequestId"]) == span["trace_id"]
        assert (content["parent_span_id"] is None) == (span["parent_span_id"] is None)


def test_every_model_has_a_version() -> None:
    rows = trace_data.model_rows("the-run", 3)
    names = {row[0] for row in rows["registered_models"][1]}
    assert names == {row[0] for row in rows["model_versions"][1]}
    assert len(names) == trace_data.MODELS


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("metric > 0.99, ordered by it", 0.01),
        ("param = value", 0.001),
        ("tag and metric", 0.01),
        ("param LIKE, status", 0.1),
    ],
)
def test_a_search_matches_its_share_of_the_runs(name: str, share: float) -> None:
    (search,) = [each for each in SEARCHES if each.name == name]
    found = sum(map(search.matches, run_data.runs(0, 20_000, SEED)))
    assert share * 20_000 * 0.5 < found < share * 20_000 * 1.5


def test_every_search_matches_a_run_in_the_smallest_store() -> None:
    tally = Tally()
    tally.count(run_data.runs(0, 1_000, options.SEED))
    assert all(tally.rows(search.name) for search in SEARCHES)


def test_the_tally_counts_up_to_a_page() -> None:
    tally = Tally()
    tally.count(run_data.runs(0, 60, SEED))
    assert tally.rows("newest 100") == 60
    tally.count(run_data.runs(60, 500, SEED))
    assert tally.rows("newest 100") == PAGE
    assert tally.rows("param LIKE, status") < PAGE

"""How rows get into the stores: the text of COPY, and the tables of FastTrackML."""

from __future__ import annotations

from bench import fasttrackml, run_data, trace_data
from bench.stores import copied

SEED = 7


def test_text_for_copy_escapes_what_has_a_meaning_in_it() -> None:
    rows: run_data.Rows = {
        "runs": (("a", "b", "c", "d"), [("tab\tnew\nline\r\\", None, 0.5, False), ("", 1, -2.0, True)])
    }
    assert copied(rows) == {"runs": "tab\\tnew\\nline\\r\\\\\t\\N\t0.5\tFalse\n\t1\t-2.0\tTrue\n"}


def test_fasttrackml_gets_its_columns_and_no_traces_or_models() -> None:
    rows = run_data.run_rows(run_data.runs(0, 3, SEED), experiment=9)
    rows |= trace_data.trace_rows(list(trace_data.traces(0, 2, SEED)), 4) | trace_data.model_rows("the-run", 3)
    made = fasttrackml.own_rows(rows)
    assert set(made) == {"runs", "metrics", "latest_metrics", "params", "tags"}
    for columns, values in made.values():
        assert {len(value) for value in values} == {len(columns)}
    assert made["params"][0] == ("key", "value_str", "run_uuid")
    assert made["metrics"][0][-2:] == ("iter", "context_id")
    assert made["latest_metrics"][0][-2:] == ("last_iter", "context_id")
    columns, runs = made["runs"]
    numbers = [int(str(run[columns.index("row_num")])) for run in runs]
    assert numbers == sorted(set(numbers)), "the runs are numbered by their start"
    (uri,) = {str(run[columns.index("artifact_uri")]).partition(str(run[0]))[0] for run in runs}
    assert uri == "file:///data/artifacts/9/", "it cannot list artifacts behind MLflow's proxy"


def test_the_steps_of_a_history_are_counted_from_one() -> None:
    _, rows = run_data.history_rows(run_data.STEPS[0], 3, SEED)
    columns, metrics = fasttrackml.own_rows(rows)["metrics"]
    key, place = columns.index("key"), columns.index("iter")
    counted = [metric[place] for metric in metrics if metric[key] == "loss"]
    assert counted == list(range(1, run_data.STEPS[0] + 1))

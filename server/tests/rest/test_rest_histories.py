"""Histories of several runs, whole and sampled."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .sides import Request, Sides

BULK = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"
SAMPLED = "/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval"
LENGTHS = (0, 1, 2, 3, 7, 10, 49, 50, 51, 99, 320, 5_001)
"""Values of the metric `m` in the histories of the runs `long-0`, `long-1`, ..."""


def fill(store: Any) -> None:
    uri = store.db_uri.replace("postgresql+mlflow:", "postgresql:", 1)
    with psycopg.connect(uri) as connection:
        for length in LENGTHS:
            connection.execute(
                "INSERT INTO metrics (run_uuid, key, value, timestamp, step, is_nan)"
                " SELECT %s, 'm', sin(i), i * 10, i * 3 - 50, FALSE FROM generate_series(1, %s) AS i",
                [add_run(connection, f"long-{length}"), length],
            )
        odd = add_run(connection, "odd")
        others = [add_run(connection, name) for name in ("Odd", "odd_2", "odd-1")]
        values = [(0.0, True), (-0.0, False), (1.5e-7, False), (1e22, False), (-1.7976931348623157e308, False)]
        for key in ("m", "é \"%'\\", "one step", "NaN"):
            for number, (value, is_nan) in enumerate(values):
                for run in (odd, *others):
                    step = 0 if key == "one step" else (number - 2) * 2**61
                    connection.execute(
                        "INSERT INTO metrics (run_uuid, key, value, timestamp, step, is_nan)"
                        " VALUES (%s, %s, %s, %s, %s, %s)",
                        [run, key, value, 7 * (number % 2) + number, step, is_nan or key == "NaN"],
                    )
        connection.execute(
            "INSERT INTO metrics (run_uuid, key, value, timestamp, step, is_nan)"
            " VALUES ('odd', 'infinite', 'Infinity', 1, 1, FALSE), ('odd', 'infinite', '-Infinity', 2, 1, FALSE)"
        )


def add_run(connection: psycopg.Connection, run_id: str) -> str:
    connection.execute(
        "INSERT INTO runs (run_uuid, experiment_id, name, user_id, start_time, status, lifecycle_stage)"
        " VALUES (%s, 0, 'run', 'me', 5, 'FINISHED', 'active')",
        [run_id],
    )
    return run_id


RUNS = [*(f"long-{length}" for length in LENGTHS), "odd", "Odd", "odd_2", "odd-1", "nowhere"]
KEYS = ["m", "é \"%'\\", "one step", "NaN", "infinite", "nothing"]


def bulk(**query: Any) -> Request:
    return Request("GET", BULK, query=query)


def sampled(path: str = SAMPLED, **query: Any) -> Request:
    return Request("GET", path, query=query)


@pytest.mark.parametrize("key", KEYS)
def test_histories_of_several_runs_are_read_as_mlflow_does(sides: Sides, key: str) -> None:
    for run_ids in (RUNS, RUNS[::-1], ["odd"], ["odd", "odd"], ["nowhere"], RUNS[-3:]):
        for most in (None, 0, 1, 3, 100, 25_000, 25_001, 2**31 - 1):
            more = {} if most is None else {"max_results": most}
            assert sides.is_served(bulk(run_id=run_ids, metric_key=key, **more))


@pytest.mark.parametrize("most", [1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 48, 49, 50, 51, 98, 319, 320, 2_499, 2_500])
def test_a_history_is_sampled_as_mlflow_does(sides: Sides, most: int) -> None:
    for run_id in RUNS:
        found = sides.ask(sampled(run_ids=run_id, metric_key="m", max_results=most)).body
        assert len(found.get("metrics", [])) <= most
        assert sides.is_served(sampled(run_ids=run_id, metric_key="m", max_results=most, start_step=-20, end_step=250))


@pytest.mark.parametrize("key", KEYS)
def test_histories_of_several_runs_are_sampled_as_mlflow_does(sides: Sides, key: str) -> None:
    steps = [None, (0, 0), (-(2**63), 2**63 - 1), (-(2**62), 2**61), (5, 8), (1, 10_000)]
    for run_ids in (RUNS, RUNS[::-1], ["odd", "odd"], ["nowhere"], ["nowhere", "odd"]):
        for most in (None, 1, 2, 3, 4, 5, 25):
            for each in steps:
                more: dict[str, Any] = {} if most is None else {"max_results": most}
                more |= {} if each is None else {"start_step": each[0], "end_step": each[1]}
                assert sides.is_served(sampled(run_ids=run_ids, metric_key=key, **more))


@settings(
    max_examples=int(os.environ.get("EXAMPLES", "150")),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    run_ids=st.lists(st.sampled_from(RUNS), min_size=1, max_size=4),
    key=st.sampled_from(KEYS),
    most=st.integers(1, 2_500) | st.integers(1, 60),
    steps=st.none() | st.tuples(st.integers(-60, 1_000), st.integers(0, 15_000)),
)
def test_any_sample_is_that_of_mlflow(
    sides: Sides, run_ids: Sequence[str], key: str, most: int, steps: tuple[int, int] | None
) -> None:
    more: dict[str, Any] = {} if steps is None else {"start_step": steps[0], "end_step": sum(steps)}
    assert sides.is_served(sampled(run_ids=run_ids, metric_key=key, max_results=most, **more))
    assert sides.is_served(bulk(run_id=run_ids, metric_key=key, max_results=most))


def test_who_may_be_asked(sides: Sides) -> None:
    """The other path of the sampled ones. MLflow has only one for the whole ones."""
    rest = SAMPLED.replace("/ajax-api/", "/api/")
    assert sides.is_served(sampled(rest, run_ids=RUNS, metric_key="m", max_results=10))
    assert not sides.is_served(Request("GET", BULK.replace("/ajax-api/", "/api/"), query="run_id=odd&metric_key=m"))
    for path in (BULK, SAMPLED):
        assert not sides.is_served(Request("POST", path, {"run_ids": ["odd"], "metric_key": "m"}))
        assert not sides.is_served(Request("HEAD", path, query="run_ids=odd&run_id=odd&metric_key=m"))


MANY = "&".join(["run_id=odd"] * 100)


@pytest.mark.parametrize(
    ("is_plain", "query"),
    [
        (True, MANY + "&metric_key=m"),
        (False, MANY + "&run_id=odd&metric_key=m"),
        (True, "run_id=odd&metric_key="),
        *(
            (False, f"run_id=odd&metric_key=m&max_results={each}")
            for each in ("-1", "", "x", "5.0", "1e3", "%205", "+5")
        ),
        *((False, f"run_id=odd&metric_key=m&max_results={each}") for each in ("05", "1_000", "3&max_results=4")),
        *((False, each) for each in ("", "run_id=odd", "metric_key=m", "run_id=&metric_key=m", "run_id&metric_key=m")),
        *((False, f"run_id=odd&metric_key=m&{each}") for each in ("metric_key=n", "page_token=x", "run_ids=odd")),
        *((False, each) for each in ("run_id=odd&metric_key=a%00", "run_id=%00&metric_key=m")),
    ],
)
def test_what_a_query_for_whole_histories_may_say(sides: Sides, is_plain: bool, query: str) -> None:
    assert sides.is_served(Request("GET", BULK, query=query)) == is_plain


@pytest.mark.parametrize(
    ("is_plain", "query"),
    [
        (True, MANY.replace("run_id", "run_ids") + "&metric_key=m"),
        (False, MANY.replace("run_id", "run_ids") + "&run_ids=odd&metric_key=m"),
        *(
            (False, f"run_ids=odd&metric_key=m&max_results={each}")
            for each in ("0", "-1", "2501", "", "x", "5.0", "1e3")
        ),
        *(
            (False, f"run_ids=odd&metric_key=m&max_results={each}")
            for each in ("05", "%205", "+5", "1_0", "3&max_results=4")
        ),
        *(
            (False, f"run_ids=odd&metric_key=m&{each}")
            for each in ("start_step=1", "end_step=1", "start_step=&end_step=")
        ),
        *(
            (False, f"run_ids=odd&metric_key=m&start_step={each}&end_step=9")
            for each in ("10", "x", "1.5", "1.0", "", "01")
        ),
        *(
            (False, f"run_ids=odd&metric_key=m&start_step=1&end_step={each}")
            for each in ("0", 2**63, "9&end_step=8", "-")
        ),
        *(
            (False, each)
            for each in ("", "run_ids=odd", "metric_key=m", "run_ids=&metric_key=m", "run_ids=odd&metric_key=")
        ),
        *((False, f"run_ids=odd&metric_key=m&{each}") for each in ("metric_key=n", "page_token=x", "run_id=odd")),
        *((False, each) for each in ("run_ids=odd&metric_key=a%00", "runIds=odd&metricKey=m")),
    ],
)
def test_what_a_query_for_samples_may_say(sides: Sides, is_plain: bool, query: str) -> None:
    assert sides.is_served(Request("GET", SAMPLED, query=query)) == is_plain

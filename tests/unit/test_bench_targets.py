"""The targets of the benchmark: which are met, which are not, and which were not measured."""

from __future__ import annotations

import pytest

from bench.logging_tasks import task_name
from bench.results import Results
from bench.searches import SEARCHES, floor_of
from bench.start_tasks import FROM_NOTHING, RESTART
from bench.systems import OURS, SIGN_IN, SQLITE, TUTORIAL
from bench.targets import SIGNED_IN, TRACE_SEARCHES, TargetResult, check_targets

SMALL, LARGE = 10_000, 100_000
ALIKE = {"tag": "logged, found", "metric NaN": "logged"}


class Measured:
    """Results that meet every target, until a test changes one."""

    def __init__(self) -> None:
        self.results = Results()
        for size in (SMALL, LARGE):
            for search in SEARCHES:
                for system, seconds in ((SQLITE, 10.0), (TUTORIAL, 1.0), (OURS, 0.1)):
                    self.set(search.name, system, seconds, size)
                    self.set(floor_of(search.name), system, 0.09, size)
        for name in TRACE_SEARCHES:
            self.set(name, TUTORIAL, 0.5)
            self.set(name, OURS, 0.1)
        for clients, ours in ((1, 50.0), (16, 60.0)):
            for task in (task_name(clients, "mlflow"), task_name(clients, "http")):
                self.set(task, TUTORIAL, 7.0 if clients == 1 else 40.0, group="logging")
                self.set(task, OURS, ours, group="logging")
        for task in (RESTART, FROM_NOTHING):
            self.set(task, TUTORIAL, 40.0, group="starts")
            self.set(task, OURS, 15.0, group="starts")
        self.set(f"{SIGNED_IN}, http", OURS, 50.0, group="sign-in")
        self.set(f"{SIGNED_IN}, http", SIGN_IN, 45.0, group="sign-in")
        self.edge_cases = {system: dict(ALIKE) for system in (SQLITE, TUTORIAL, OURS)}

    def set(
        self, task: str, system: str, value: float, size: int = LARGE, group: str = "reading", rows: int = 100
    ) -> None:
        result = self.results.of(group, task, system, size, "s")
        result.values, result.rows = [value], rows

    def line(self, beginning: str) -> TargetResult:
        (found,) = [line for line in check_targets(self.results, self.edge_cases) if line.target.startswith(beginning)]
        return found


def test_all_targets_can_be_met() -> None:
    measured = Measured()
    assert [line for line in check_targets(measured.results, measured.edge_cases) if line.met is not True] == []


def test_no_target_is_met_without_results() -> None:
    assert {line.met for line in check_targets(Results(), {})} == {None}


@pytest.mark.parametrize(
    ("target", "task", "system", "value"),
    [
        ("1. filtered and ordered", "param = value", OURS, 0.3),
        ("1. every read task", "newest 100", OURS, 1.1),
        ("1. metric searches", "ordered by metric", SQLITE, 3.9),
        ("2. filtered searches", "tag and metric", OURS, 0.16),
        ("2. searches ordered", "ordered by metric", OURS, 0.31),
        ("3. 1 logging", task_name(1, "http"), OURS, 40.0),
        ("3. 16 logging", task_name(16, "mlflow"), OURS, 47.0),
        ("4. filtered searches", floor_of("param LIKE, status"), OURS, 0.05),
        ("4. ordered searches", floor_of("ordered by metric"), OURS, 0.03),
        ("5. start", RESTART, OURS, 21.0),
        ("6. trace searches", "traces by tag", TUTORIAL, 0.19),
        ("8. one client", f"{SIGNED_IN}, http", SIGN_IN, 39.0),
    ],
)
def test_one_bad_value_misses_its_target_and_is_named(target: str, task: str, system: str, value: float) -> None:
    measured = Measured()
    (result,) = [each for each in measured.results if (each.task, each.system, each.size) == (task, system, LARGE)]
    result.values = [value]
    line = measured.line(target)
    assert line.met is False
    assert task.removeprefix("the same by id: ") in line.measured


def test_a_time_limit_counts_as_the_lower_bound() -> None:
    measured = Measured()
    result = measured.results.of("reading", "ordered by metric", SQLITE, LARGE, "s")
    result.over = 20.0
    measured.set("metric > 0.99, ordered by it", SQLITE, 30.0)
    line = measured.line("1. metric searches")
    assert line.met is True
    assert "200.00" in line.measured


def test_more_rows_in_a_bigger_store_do_not_count_as_growth() -> None:
    measured = Measured()
    measured.set("param = value", OURS, 0.01, SMALL, rows=10)
    measured.set(floor_of("param = value"), OURS, 0.009, SMALL, rows=10)
    assert measured.line("2. filtered searches").met is True, "ten times the rows cost ten times as much by id, too"
    measured.set(floor_of("param = value"), OURS, 0.09, SMALL, rows=10)
    assert measured.line("2. filtered searches").met is False


def test_an_edge_case_that_systems_treat_differently_is_named() -> None:
    measured = Measured()
    measured.edge_cases[SQLITE]["tag"] = "logged, not found"
    line = measured.line("7.")
    assert line.met is False
    assert "tag differs" in line.measured


def test_an_edge_case_that_every_system_refuses_misses_the_target() -> None:
    measured = Measured()
    for system in measured.edge_cases:
        measured.edge_cases[system]["tag"] = "refused"
    assert measured.line("7.").met is False


def test_a_value_that_mlflow_truncates_everywhere_is_reported_and_meets_the_target() -> None:
    measured = Measured()
    for system in measured.edge_cases:
        measured.edge_cases[system]["tag"] = "cut to 6,000 characters, found"
    line = measured.line("7.")
    assert line.met is True
    assert "6,000" in line.measured

"""The rules of the benchmark: which hold, which do not, and which were not measured."""

from __future__ import annotations

import pytest

from bench.logging_work import cell_name
from bench.results import Results
from bench.searches import SEARCHES, floor_of
from bench.sides import OURS, SIGN_IN, SQLITE, TUTORIAL
from bench.starts import FROM_NOTHING, RESTART
from bench.verdict import SIGNED_IN, TRACE_SEARCHES, Line, verdict

SMALL, LARGE = 10_000, 100_000
ALIKE = {"tag": "logged, found", "metric NaN": "logged"}


class Seen:
    """Results in which every rule holds, until a test says otherwise."""

    def __init__(self) -> None:
        self.results = Results()
        for size in (SMALL, LARGE):
            for search in SEARCHES:
                for side, seconds in ((SQLITE, 10.0), (TUTORIAL, 1.0), (OURS, 0.1)):
                    self.set(search.name, side, seconds, size)
                    self.set(floor_of(search.name), side, 0.09, size)
        for name in TRACE_SEARCHES:
            self.set(name, TUTORIAL, 0.5)
            self.set(name, OURS, 0.1)
        for clients, ours in ((1, 50.0), (16, 60.0)):
            for cell in (cell_name(clients, "mlflow"), cell_name(clients, "http")):
                self.set(cell, TUTORIAL, 7.0 if clients == 1 else 40.0, group="logging")
                self.set(cell, OURS, ours, group="logging")
        for cell in (RESTART, FROM_NOTHING):
            self.set(cell, TUTORIAL, 40.0, group="starts")
            self.set(cell, OURS, 15.0, group="starts")
        self.set(f"{SIGNED_IN}, http", OURS, 50.0, group="sign-in")
        self.set(f"{SIGNED_IN}, http", SIGN_IN, 45.0, group="sign-in")
        self.odd = {side: dict(ALIKE) for side in (SQLITE, TUTORIAL, OURS)}

    def set(
        self, cell: str, side: str, value: float, size: int = LARGE, group: str = "reading", rows: int = 100
    ) -> None:
        result = self.results.of(group, cell, side, size, "s")
        result.values, result.rows = [value], rows

    def line(self, beginning: str) -> Line:
        (found,) = [line for line in verdict(self.results, self.odd) if line.rule.startswith(beginning)]
        return found


def test_all_rules_may_hold() -> None:
    seen = Seen()
    assert [line for line in verdict(seen.results, seen.odd) if line.holds is not True] == []


def test_nothing_measured_is_no_rule_kept() -> None:
    assert {line.holds for line in verdict(Results(), {})} == {None}


@pytest.mark.parametrize(
    ("rule", "cell", "side", "value"),
    [
        ("1. filtered and ordered", "param = value", OURS, 0.3),
        ("1. none of the work list", "newest 100", OURS, 1.1),
        ("1. metric searches", "ordered by metric", SQLITE, 3.9),
        ("2. filtered searches", "tag and metric", OURS, 0.16),
        ("2. searches ordered", "ordered by metric", OURS, 0.31),
        ("3. 1 logging", cell_name(1, "http"), OURS, 40.0),
        ("3. 16 logging", cell_name(16, "mlflow"), OURS, 47.0),
        ("4. filtered searches", floor_of("param LIKE, status"), OURS, 0.05),
        ("4. ordered searches", floor_of("ordered by metric"), OURS, 0.03),
        ("5. start", RESTART, OURS, 21.0),
        ("6. trace searches", "traces by tag", TUTORIAL, 0.19),
        ("8. one client", f"{SIGNED_IN}, http", SIGN_IN, 39.0),
    ],
)
def test_one_figure_breaks_its_rule_and_is_named(rule: str, cell: str, side: str, value: float) -> None:
    seen = Seen()
    (result,) = [each for each in seen.results if (each.cell, each.side, each.size) == (cell, side, LARGE)]
    result.values = [value]
    line = seen.line(rule)
    assert line.holds is False
    assert cell.removeprefix("the same by id: ") in line.seen


def test_a_time_limit_that_was_hit_counts_as_at_least_that_much() -> None:
    seen = Seen()
    result = seen.results.of("reading", "ordered by metric", SQLITE, LARGE, "s")
    result.over = 20.0
    seen.set("metric > 0.99, ordered by it", SQLITE, 30.0)
    line = seen.line("1. metric searches")
    assert line.holds is True
    assert "200.00" in line.seen


def test_where_a_bigger_store_gives_more_rows_these_are_not_growth() -> None:
    seen = Seen()
    seen.set("param = value", OURS, 0.01, SMALL, rows=10)
    seen.set(floor_of("param = value"), OURS, 0.009, SMALL, rows=10)
    assert seen.line("2. filtered searches").holds is True, "ten times the rows cost ten times as much by id, too"
    seen.set(floor_of("param = value"), OURS, 0.09, SMALL, rows=10)
    assert seen.line("2. filtered searches").holds is False


def test_a_side_that_differs_in_an_odd_value_is_named() -> None:
    seen = Seen()
    seen.odd[SQLITE]["tag"] = "logged, not found"
    line = seen.line("7.")
    assert line.holds is False
    assert "tag differs" in line.seen


def test_what_no_side_keeps_is_no_agreement() -> None:
    seen = Seen()
    for side in seen.odd:
        seen.odd[side]["tag"] = "refused"
    assert seen.line("7.").holds is False


def test_what_mlflow_cuts_on_every_side_is_said_and_no_fault() -> None:
    seen = Seen()
    for side in seen.odd:
        seen.odd[side]["tag"] = "cut to 6,000 characters, found"
    line = seen.line("7.")
    assert line.holds is True
    assert "6,000" in line.seen

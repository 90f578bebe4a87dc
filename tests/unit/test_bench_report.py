"""The tables of the benchmark: values with their spread, limits that were hit, ratios in the right direction."""

from __future__ import annotations

import pytest

from bench.report import Table, cell_text, failures, format_value, markdown, tables, times_as_fast
from bench.results import Result, Results
from bench.systems import FASTTRACKML, OURS, SQLITE, TUTORIAL
from bench.targets import TargetResult


def filled() -> Results:
    results = Results()
    for system, values in ((SQLITE, [6.0, 7.0, 6.5]), (TUTORIAL, [0.4, 0.44, 0.42]), (OURS, [0.1, 0.11, 0.105])):
        result = results.of("reading", "newest 100", system, 1_000, "s")
        result.values, result.rows = values, 100
    for system, speed in ((TUTORIAL, 6.4), (OURS, 44.8)):
        result = results.of("logging", "1 logging", system, 1_000, "runs/s")
        result.values, result.client_share = [speed], [0.25]
        result.server, result.postgres = [0.0021], [0.0305]
    return results


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0123, "s", "12 ms"),
        (0.9994, "s", "999 ms"),
        (6.454, "s", "6.45 s"),
        (44.72, "runs/s", "44.7"),
        (988.4, "MiB", "988"),
    ],
)
def test_a_value_has_three_digits(value: float, unit: str, text: str) -> None:
    assert format_value(value, unit) == text


def test_a_table_cell_has_the_median_and_the_range_or_the_reason_for_none() -> None:
    result = Result("reading", "task", OURS, 10, "s", [0.1, 0.12, 0.11])
    assert cell_text(result) == "110 ms [100 ms-120 ms]"
    result.values.append(0.5)
    assert cell_text(result).startswith("~"), "readings far apart are marked"
    result.over = 20.0
    assert cell_text(result) == "over 20 s"
    assert cell_text(Result("reading", "task", FASTTRACKML, 10, "s", cannot="404")) == "cannot"
    assert cell_text(None) == "-"


def test_the_speedup_works_for_durations_and_for_speeds() -> None:
    results = filled()
    assert times_as_fast(results, "newest 100", TUTORIAL, 1_000) == "x4.00"
    assert times_as_fast(results, "1 logging", TUTORIAL, 1_000) == "x7.00"
    results.of("reading", "newest 100", SQLITE, 1_000, "s").over = 21.0
    assert times_as_fast(results, "newest 100", SQLITE, 1_000) == ">x200.00"


def test_the_report_has_every_group_the_edge_cases_and_the_targets() -> None:
    edge_cases = {SQLITE: {"tag": "logged"}, OURS: {"tag": "refused"}}
    made = tables(filled(), edge_cases, [TargetResult("rule", "seen", None), TargetResult("other", "seen", False)])
    assert [table.title for table in made] == [
        "reading, 1,000 runs",
        "logging, 1,000 runs",
        "logging, 1,000 runs: processor time in ms, of the server + of PostgreSQL",
        "edge cases",
        "targets",
    ]
    assert made[0].rows == [
        ["newest 100", "100", "6.5 s [6 s-7 s]", "420 ms [400 ms-440 ms]", "105 ms [100 ms-110 ms]", "x4.00", "x61.90"]
    ]
    assert made[1].rows[0][-1] == "25%, 25%", "the clients' share, by system"
    assert made[2].rows == [["1 logging", "2.1 + 30.5", "2.1 + 30.5"]]
    assert made[3].rows == [["tag", "logged", "refused", "**no**"]]
    assert [row[-1] for row in made[4].rows] == ["not measured", "**not held**"]
    assert all(len(row) == len(table.header) for table in made for row in table.rows)


def test_a_bar_in_a_table_cell_is_escaped() -> None:
    text = markdown([Table("title", ["a", "b"], [["x|y", "z"]])], {"cores": 2}, ["a note"])
    assert "| x\\|y | z |" in text
    assert "- cores: 2" in text
    assert "a note" in text


def test_every_failure_is_listed_and_what_another_server_cannot_do() -> None:
    results = filled()
    assert failures(results) == []
    results.of("reading", "newest 100", OURS, 1_000, "s").failed = "other rows"
    results.of("reading", "open a trace", FASTTRACKML, 1_000, "s").cannot = "404"
    assert failures(results) == [
        "`newest 100` on ours at 1,000 runs: other rows",
        "`open a trace`: fasttrackml cannot. 404",
    ]

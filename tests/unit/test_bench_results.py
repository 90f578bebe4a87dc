"""Statistics of the readings, and the options of the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.options import parse
from bench.results import Result, Results, ratio
from bench.systems import OURS, SIDES, TUTORIAL


def result(*values: float, **more: float | str) -> Result:
    made = Result("reading", "task", "ours", 10, "s", list(values))
    for name, value in more.items():
        setattr(made, name, value)
    return made


def test_there_is_no_median_without_readings_or_after_a_failure() -> None:
    assert result(3, 1, 2).median == 2
    assert result(1, 2).median == 1.5
    assert result().median is None
    assert result(1, over=20.0).median is None, "readings from before the limit was hit would flatter it"
    assert result(1, failed="other rows").median is None
    assert result(1, cannot="404").median is None


def test_the_spread_is_a_share_of_the_median() -> None:
    assert result(1, 2, 3).spread == 1.0
    assert result(5).spread == 0.0
    assert result().spread == 0.0


def test_what_is_not_the_client_s_own_of_the_time_is_compared_without_the_client() -> None:
    made = result(10.0)
    assert made.rest is None, "the clients' share is unknown"
    made.client_share = [0.2, 0.3, 0.25]
    assert made.own_share == 0.25
    assert made.rest == 0.075, "of a tenth of a second, three quarters"


def test_the_processor_time_is_the_median_of_the_rounds() -> None:
    made = result(1.0)
    assert made.processor("server") is None
    made.server, made.postgres = [0.001, 0.003, 0.002], [0.0, 0.0, 0.0]
    assert (made.processor("server"), made.processor("postgres")) == (0.002, 0.0)


def test_the_limit_is_the_lower_bound_of_a_task_that_hit_it() -> None:
    results = Results()
    results.of("reading", "slow", "sqlite", 10, "s").over = 20.0
    results.of("reading", "wrong", "sqlite", 10, "s").failed = "other rows"
    assert results.median_or_limit("slow", "sqlite", 10) == 20.0
    assert results.median_or_limit("wrong", "sqlite", 10) is None
    assert results.median_or_limit("never asked", "sqlite", 10) is None


def test_a_result_is_created_once() -> None:
    results = Results()
    results.of("reading", "task", "ours", 10, "s").values.append(1.0)
    results.of("reading", "task", "ours", 10, "s").values.append(3.0)
    assert results.median("task", "ours", 10) == 2.0
    assert results.sizes() == [10]
    assert results.tasks("reading") == ["task"]
    assert [each["median"] for each in results.as_json()] == [2.0]


def test_systems_have_the_same_order_in_all_groups() -> None:
    results = Results()
    for group, systems in (("reading", "abc"), ("logging", "ca")):
        for system in systems:
            results.of(group, group, system, 10, "s")
    assert results.systems("logging") == ["a", "c"]


def test_a_ratio_needs_both() -> None:
    assert ratio(6.0, 2.0) == 3.0
    assert ratio(None, 2.0) is None
    assert ratio(6.0, None) is None


def test_a_quick_run_has_smaller_stores_and_fewer_rounds() -> None:
    full, quick = parse([]), parse(["--quick"])
    assert full.sizes == (1_000, 10_000, 100_000)
    assert quick.sizes == (1_000, 10_000)
    assert quick.rounds < full.rounds
    assert full.output == Path("build/bench")
    assert (full.sides, full.commit) == (SIDES, None)


def test_the_sides_are_in_their_own_order_and_this_project_is_one_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert parse(["--sides", "ours,tutorial"]).sides == (TUTORIAL, OURS)
    for sides in ("tutorial", "ours,postgres"):
        with pytest.raises(SystemExit):
            parse(["--sides", sides])
        assert "must be ours and others of sqlite,tutorial,fasttrackml,ours" in capsys.readouterr().err


def test_explicit_options_override_quick() -> None:
    options = parse(["--quick", "--sizes", "50,60", "--rounds", "9", "--limit", "3"])
    assert (options.sizes, options.rounds, options.limit) == ((50, 60), 9, 3.0)


@pytest.mark.parametrize(
    "arguments", [["--sizes", "100,10"], ["--sizes", "5,5"], ["--sizes", "0"], ["--rounds", "0"], ["--limit", "0"]]
)
def test_invalid_options_are_rejected(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments)
    assert ended.value.code == 2
    assert arguments[0] in capsys.readouterr().err

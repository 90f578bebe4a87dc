"""The project's own performance targets, and whether a run met them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bench.logging_tasks import task_name
from bench.results import Results, ratio
from bench.searches import SEARCHES, floor_of
from bench.start_tasks import FROM_NOTHING, RESTART
from bench.systems import OURS, SIGN_IN, SQLITE, TUTORIAL

TRACE_SEARCHES = ("newest 100 traces", "traces by tag", "traces by status, metadata")
METRIC_SEARCHES = ("metric > 0.99, ordered by it", "ordered by metric")
SIGNED_IN = "1 logging, with and without sign-in"
_FILTERED = tuple(search.name for search in SEARCHES if search.kind == "filtered")
_ORDERED = tuple(search.name for search in SEARCHES if search.kind == "ordered")


@dataclass(frozen=True)
class TargetResult:
    target: str
    measured: str
    met: bool | None
    """None if the run did not measure it."""


def check_targets(results: Results, edge_cases: Mapping[str, Mapping[str, str]]) -> list[TargetResult]:
    """Check all targets. `edge_cases` has the outcome by system and edge case."""
    size = max(results.sizes(), default=0)
    return [
        _faster(results, size, TUTORIAL, (*_FILTERED, *_ORDERED), 4, "1. filtered and ordered searches"),
        _faster(results, size, TUTORIAL, _reading(results), 1, "1. every read task"),
        _faster(results, size, SQLITE, METRIC_SEARCHES, 40, "1. metric searches"),
        _growth(results, size, _FILTERED, 1.5, "filtered searches"),
        _growth(results, size, _ORDERED, 3, "searches ordered by a metric"),
        _logging(results, size, 1, 6),
        _logging(results, size, 16, 1.2),
        _floor(results, size, _FILTERED, 1.5, "filtered searches"),
        _floor(results, size, _ORDERED, 2.5, "ordered searches"),
        _start(results, size),
        _faster(results, size, TUTORIAL, TRACE_SEARCHES, 2, "6. trace searches"),
        _edge_cases(edge_cases),
        _sign_in(results, size),
    ]


def _reading(results: Results) -> tuple[str, ...]:
    floors = {floor_of(search.name) for search in SEARCHES}
    return tuple(task for task in results.tasks("reading") if task not in floors)


def _line(target: str, values: Iterable[tuple[str, float | None]], bound: float, *, least: bool) -> TargetResult:
    """The result of a target: its worst value decides."""
    known = [(value, name) for name, value in values if value is not None]
    if not known:
        return TargetResult(target, "not measured", None)
    value, name = min(known) if least else max(known)
    others = ", ".join(f"{each} {number:.2f}" for number, each in known if each != name)
    seen = f"{name}: {value:.2f}" + (f" ({others})" if others and len(known) < 6 else "")
    return TargetResult(target, seen, value >= bound if least else value <= bound)


def _faster(results: Results, size: int, system: str, tasks: Iterable[str], bound: float, what: str) -> TargetResult:
    values = [
        (task, ratio(results.median_or_limit(task, system, size), results.median(task, OURS, size))) for task in tasks
    ]
    return _line(f"{what}: at least {bound:g} times {system}, at {size:,} runs", values, bound, least=True)


def _growth(results: Results, size: int, tasks: Iterable[str], bound: float, what: str) -> TargetResult:
    small = size // 10
    return _line(
        f"2. {what}, from {small:,} to {size:,} runs: at most {bound:g} times slower",
        [(task, growth(results, task, small, size)) for task in tasks],
        bound,
        least=False,
    )


def growth(results: Results, task: str, small: int, large: int) -> float | None:
    """How many times slower ours gets. If it returns more rows, divided by the growth of the same runs by id."""
    grown = ratio(results.median(task, OURS, large), results.median(task, OURS, small))
    before, after = results.get(task, OURS, small), results.get(task, OURS, large)
    if grown is None or not before or not after or before.rows == after.rows:
        return grown
    floor = floor_of(task)
    return ratio(grown, ratio(results.median(floor, OURS, large), results.median(floor, OURS, small)))


def _logging(results: Results, size: int, clients: int, bound: float) -> TargetResult:
    tasks = [task_name(clients, "mlflow"), task_name(clients, "http")]
    values = [(task, ratio(results.median(task, OURS, size), results.median(task, TUTORIAL, size))) for task in tasks]
    return _line(f"3. {clients} logging: at least {bound:g} times {TUTORIAL}", values, bound, least=True)


def _floor(results: Results, size: int, tasks: Iterable[str], bound: float, what: str) -> TargetResult:
    values = [
        (task, ratio(results.median(task, OURS, size), results.median(floor_of(task), OURS, size))) for task in tasks
    ]
    return _line(f"4. {what}: at most {bound:g} times the same runs by id", values, bound, least=False)


def _start(results: Results, size: int) -> TargetResult:
    tasks = (RESTART, FROM_NOTHING)
    values = [(task, ratio(results.median(task, OURS, size), results.median(task, TUTORIAL, size))) for task in tasks]
    return _line("5. start: at most half of MLflow's own recipe", values, 0.5, least=False)


def _edge_cases(edge_cases: Mapping[str, Mapping[str, str]]) -> TargetResult:
    target = "7. edge cases: logged and found, and all systems agree"
    if not edge_cases:
        return TargetResult(target, "not measured", None)
    values = {name for each in edge_cases.values() for name in each}
    unlike = sorted(name for name in values if len({each.get(name) for each in edge_cases.values()}) > 1)
    lost = ("refused", "failed", "changed", "not found")
    bad = sorted(f"{name}: {what}" for name, what in edge_cases[OURS].items() if any(word in what for word in lost))
    # MLflow truncates values that are longer than its own limit, with any store.
    cut = sorted(f"{name}: {what}" for name, what in edge_cases[OURS].items() if what.startswith("cut"))
    seen = "; ".join([*(f"{name} differs" for name in unlike), *bad, *cut])
    return TargetResult(target, seen or f"all {len(values)}", not unlike and not bad)


def _sign_in(results: Results, size: int) -> TargetResult:
    tasks = [task for task in results.tasks("sign-in") if task.startswith(SIGNED_IN)]
    values = [(task, ratio(results.median(task, SIGN_IN, size), results.median(task, OURS, size))) for task in tasks]
    return _line("8. one client with sign-in: at least 0.8 of its speed without", values, 0.8, least=True)

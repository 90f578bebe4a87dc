"""The project's own performance targets, and whether a run met them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from bench.logging_tasks import CLIENT_RUNS, RUNS, TRACES
from bench.read_tasks import sampled_history, whole_history
from bench.results import Result, Results, ratio
from bench.searches import SEARCHES
from bench.start_tasks import FROM_NOTHING, RESTART
from bench.statements import part_of
from bench.systems import COMMIT, FASTTRACKML, OURS, SIGN_IN, TUTORIAL, USER

SIGNED_IN = "with and without sign-in"
TRACE_SEARCHES = ("newest 100 traces", "traces by tag", "traces by status, metadata")
REGISTRY = ("model registry, 100 newest", "model registry, by name")
HISTORIES = (whole_history(10_000), sampled_history(10_000))
FILTERED = tuple(search.name for search in SEARCHES if search.kind == "filtered")
ORDERED = tuple(search.name for search in SEARCHES if search.kind == "ordered")
SMALL, LARGE = 100_000, 1_000_000
"""The sizes of the stores between which a search may grow."""
ALLOWANCE = 0.002
"""Seconds that a search may take besides what PostgreSQL takes for it."""

Value = tuple[str, float | None]


@dataclass(frozen=True)
class TargetResult:
    target: str
    measured: str
    met: bool | None
    """None if the run did not measure it."""


def check_targets(results: Results, edge_cases: Mapping[str, Mapping[str, str]]) -> list[TargetResult]:
    """Check all targets. `edge_cases` has the outcome by system and edge case."""
    size = max(results.sizes(), default=0)

    def faster(what: str, tasks: Iterable[str], bound: float, system: str = TUTORIAL) -> TargetResult:
        values = [(task, speedup(results, task, system, OURS, size)) for task in tasks]
        return _least(f"{what}: at least {bound:g} times {system}", values, bound)

    return [
        faster("1. one client logging, plain HTTP", [RUNS.task_name(1)], 20),
        faster("1. 8 and 16 clients logging, plain HTTP", map(RUNS.task_name, (8, 16)), 8),
        faster("1. 8 and 16 clients logging, plain HTTP", map(RUNS.task_name, (8, 16)), 3, FASTTRACKML),
        _rest(results, size),
        _processor(results, size, "server", 0.003),
        _processor(results, size, "postgres", 0.0035),
        faster("3. filtered and ordered searches", (*FILTERED, *ORDERED), 15),
        _above_statement(results, size),
        faster("3. newest 100", ["newest 100"], 2, COMMIT),
        faster("4. history of 10,000 steps", HISTORIES, 8),
        faster("4. 50 runs compared", ["compare 50 runs"], 8),
        faster("4. a run's page", ["run page"], 12),
        faster("4. searches of traces", TRACE_SEARCHES, 4),
        faster("4. a trace opened", ["open a trace"], 3),
        faster("4. model registry", REGISTRY, 5),
        faster("4. spans ingested", map(TRACES.task_name, TRACES.clients), 5),
        _growth(results, FILTERED, 1.5, "filtered searches"),
        _growth(results, ORDERED, 2, "ordered searches"),
        _sign_in(results, size, SIGN_IN, "the administrator"),
        _sign_in(results, size, USER, "an ordinary user"),
        _start(results, size),
        _edge_cases(edge_cases),
    ]


def speedup(results: Results, task: str, slow: str, fast: str, size: int) -> float | None:
    """How many times as fast one system is as another. Of a slow one that hit the time limit, at least so many."""
    other, ours = results.get(task, slow, size), results.get(task, fast, size)
    if not other or not ours:
        return None
    if ours.is_speed:
        return ratio(ours.median, other.median)
    return ratio(results.median_or_limit(task, slow, size), ours.median)


def _least(target: str, values: Iterable[Value], bound: float) -> TargetResult:
    """The result of a target that the lowest value decides."""
    return _line(target, values, bound, least=True)


def _most(target: str, values: Iterable[Value], bound: float) -> TargetResult:
    """The result of a target that the highest value decides."""
    return _line(target, values, bound, least=False)


def _line(target: str, values: Iterable[Value], bound: float, *, least: bool) -> TargetResult:
    values = list(values)
    known = [(value, name) for name, value in values if value is not None]
    if not known:
        return TargetResult(target, "not measured", None)
    value, name = min(known) if least else max(known)
    others = [f"{each} {number:.2f}" for number, each in known if each != name]
    others += [f"{each} not measured" for each, number in values if number is None]
    seen = f"{name}: {value:.2f}" + (f" ({', '.join(others)})" if others else "")
    held = value >= bound if least else value <= bound
    # A missing value may be the one that would not hold.
    return TargetResult(target, seen, None if held and len(known) < len(values) else held)


def _rest(results: Results, size: int) -> TargetResult:
    """What is not the client's own of the time that MLflow's client needs for a run."""
    values, shares = [], []
    for clients in CLIENT_RUNS.clients:
        task = CLIENT_RUNS.task_name(clients)
        slow, fast = results.get(task, TUTORIAL, size), results.get(task, OURS, size)
        values.append((task, ratio(slow.rest, fast.rest) if slow and fast else None))
        shares.append(f"{_share(slow)} and {_share(fast)}")
    line = _least("1. MLflow's client logging, without the client's own share: at least 5 times tutorial", values, 5)
    own = f"; the client's own share on {TUTORIAL} and {OURS}: {', '.join(shares)}"
    return TargetResult(line.target, line.measured + (own if line.met is not None else ""), line.met)


def _share(result: Result | None) -> str:
    share = result.own_share if result else None
    return "-" if share is None else f"{share:.0%}"


def _processor(results: Results, size: int, of: Literal["server", "postgres"], bound: float) -> TargetResult:
    """Processor time for one logged run, in milliseconds."""
    name = {"server": "the server", "postgres": "PostgreSQL"}[of]
    values: list[Value] = []
    for task in map(RUNS.task_name, RUNS.clients):
        result = results.get(task, OURS, size)
        taken = result.processor(of) if result else None
        values.append((task, None if taken is None else taken * 1_000))
    return _most(f"2. processor time of {name} for one logged run: at most {bound * 1_000:g} ms", values, bound * 1_000)


def _above_statement(results: Results, size: int) -> TargetResult:
    values = []
    for task in (*FILTERED, *ORDERED):
        whole, part = results.median(task, OURS, size), results.median(part_of(task), OURS, size)
        values.append((task, None if whole is None else ratio(max(whole - ALLOWANCE, 0.0), part)))
    return _most(
        f"3. filtered and ordered searches, less {ALLOWANCE * 1_000:g} ms: at most 1.3 times PostgreSQL's part",
        values,
        1.3,
    )


def _growth(results: Results, tasks: Iterable[str], bound: float, what: str) -> TargetResult:
    values = [(task, ratio(results.median(task, OURS, LARGE), results.median(task, OURS, SMALL))) for task in tasks]
    return _most(f"5. {what}, from {SMALL:,} to {LARGE:,} runs: at most {bound:g} times slower", values, bound)


def _sign_in(results: Results, size: int, system: str, who: str) -> TargetResult:
    tasks = results.tasks("sign-in")
    values = [(task, speedup(results, task, OURS, system, size)) for task in tasks]
    return _least(f"6. logging with sign-in as {who}: at least 0.75 of the speed without", values, 0.75)


def _start(results: Results, size: int) -> TargetResult:
    values = [(task, speedup(results, task, TUTORIAL, OURS, size)) for task in (RESTART, FROM_NOTHING)]
    return _least("start: at least 2 times MLflow's own recipe", values, 2)


def _edge_cases(edge_cases: Mapping[str, Mapping[str, str]]) -> TargetResult:
    target = "edge cases: logged and found, and all systems agree"
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

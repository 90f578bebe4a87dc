"""The rules that the project sets itself, each with what was seen and whether it holds. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bench.logging_work import cell_name
from bench.results import Results, ratio
from bench.searches import SEARCHES, floor_of
from bench.sides import OURS, SIGN_IN, SQLITE, TUTORIAL
from bench.starts import FROM_NOTHING, RESTART

TRACE_SEARCHES = ("newest 100 traces", "traces by tag", "traces by status, metadata")
METRIC_SEARCHES = ("metric > 0.99, ordered by it", "ordered by metric")
SIGNED_IN = "1 logging, beside sign-in"
_FILTERED = tuple(search.name for search in SEARCHES if search.kind == "filtered")
_ORDERED = tuple(search.name for search in SEARCHES if search.kind == "ordered")


@dataclass(frozen=True)
class Line:
    rule: str
    seen: str
    holds: bool | None
    """None where the run did not measure it."""


def verdict(results: Results, odd: Mapping[str, Mapping[str, str]]) -> list[Line]:
    """All rules. `odd` holds, by side and odd value, what became of it."""
    size = max(results.sizes(), default=0)
    return [
        _faster(results, size, TUTORIAL, (*_FILTERED, *_ORDERED), 4, "1. filtered and ordered searches"),
        _faster(results, size, TUTORIAL, _reading(results), 1, "1. none of the work list"),
        _faster(results, size, SQLITE, METRIC_SEARCHES, 40, "1. metric searches"),
        _growth(results, size, _FILTERED, 1.5, "filtered searches"),
        _growth(results, size, _ORDERED, 3, "searches ordered by a metric"),
        _logging(results, size, 1, 6),
        _logging(results, size, 16, 1.2),
        _floor(results, size, _FILTERED, 1.5, "filtered searches"),
        _floor(results, size, _ORDERED, 2.5, "ordered searches"),
        _start(results, size),
        _faster(results, size, TUTORIAL, TRACE_SEARCHES, 2, "6. trace searches"),
        _odd(odd),
        _sign_in(results, size),
    ]


def _reading(results: Results) -> tuple[str, ...]:
    floors = {floor_of(search.name) for search in SEARCHES}
    return tuple(cell for cell in results.cells("reading") if cell not in floors)


def _line(rule: str, figures: Iterable[tuple[str, float | None]], bound: float, *, least: bool) -> Line:
    """A rule that is as good as its worst figure."""
    known = [(value, name) for name, value in figures if value is not None]
    if not known:
        return Line(rule, "not measured", None)
    value, name = min(known) if least else max(known)
    others = ", ".join(f"{each} {number:.2f}" for number, each in known if each != name)
    seen = f"{name}: {value:.2f}" + (f" ({others})" if others and len(known) < 6 else "")
    return Line(rule, seen, value >= bound if least else value <= bound)


def _faster(results: Results, size: int, side: str, cells: Iterable[str], bound: float, what: str) -> Line:
    figures = [(cell, ratio(results.at_least(cell, side, size), results.median(cell, OURS, size))) for cell in cells]
    return _line(f"{what}: at least {bound:g} times {side}, at {size:,} runs", figures, bound, least=True)


def _growth(results: Results, size: int, cells: Iterable[str], bound: float, what: str) -> Line:
    small = size // 10
    return _line(
        f"2. {what}, from {small:,} to {size:,} runs: at most {bound:g} times slower",
        [(cell, growth(results, cell, small, size)) for cell in cells],
        bound,
        least=False,
    )


def growth(results: Results, cell: str, small: int, large: int) -> float | None:
    """How many times the median of ours grows. Where the bigger store gives more rows, beyond what these cost by id."""
    grown = ratio(results.median(cell, OURS, large), results.median(cell, OURS, small))
    before, after = results.get(cell, OURS, small), results.get(cell, OURS, large)
    if grown is None or not before or not after or before.rows == after.rows:
        return grown
    floor = floor_of(cell)
    return ratio(grown, ratio(results.median(floor, OURS, large), results.median(floor, OURS, small)))


def _logging(results: Results, size: int, clients: int, bound: float) -> Line:
    cells = [cell_name(clients, "mlflow"), cell_name(clients, "http")]
    figures = [(cell, ratio(results.median(cell, OURS, size), results.median(cell, TUTORIAL, size))) for cell in cells]
    return _line(f"3. {clients} logging: at least {bound:g} times {TUTORIAL}", figures, bound, least=True)


def _floor(results: Results, size: int, cells: Iterable[str], bound: float, what: str) -> Line:
    figures = [
        (cell, ratio(results.median(cell, OURS, size), results.median(floor_of(cell), OURS, size))) for cell in cells
    ]
    return _line(f"4. {what}: at most {bound:g} times the same runs by id", figures, bound, least=False)


def _start(results: Results, size: int) -> Line:
    cells = (RESTART, FROM_NOTHING)
    figures = [(cell, ratio(results.median(cell, OURS, size), results.median(cell, TUTORIAL, size))) for cell in cells]
    return _line("5. start: at most half of MLflow's own recipe", figures, 0.5, least=False)


def _odd(odd: Mapping[str, Mapping[str, str]]) -> Line:
    rule = "7. odd values: logged and found, on all sides alike"
    if not odd:
        return Line(rule, "not measured", None)
    values = {name for each in odd.values() for name in each}
    unlike = sorted(name for name in values if len({each.get(name) for each in odd.values()}) > 1)
    lost = ("refused", "failed", "changed", "not found")
    bad = sorted(f"{name}: {what}" for name, what in odd[OURS].items() if any(word in what for word in lost))
    # MLflow cuts what is longer than its own limit, whatever the store.
    cut = sorted(f"{name}: {what}" for name, what in odd[OURS].items() if what.startswith("cut"))
    seen = "; ".join([*(f"{name} differs" for name in unlike), *bad, *cut])
    return Line(rule, seen or f"all {len(values)}", not unlike and not bad)


def _sign_in(results: Results, size: int) -> Line:
    cells = [cell for cell in results.cells("sign-in") if cell.startswith(SIGNED_IN)]
    figures = [(cell, ratio(results.median(cell, SIGN_IN, size), results.median(cell, OURS, size))) for cell in cells]
    return _line("8. one client with sign-in: at least 0.8 of its speed without", figures, 0.8, least=True)

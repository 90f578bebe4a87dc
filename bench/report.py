"""The report: the results as tables in Markdown. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.results import WIDE, Result, Results
from bench.statements import STATEMENTS
from bench.systems import COMMIT, FASTTRACKML, OURS, SQLITE, TUTORIAL
from bench.targets import TargetResult, speedup

LEGEND = (
    f"Medians, with the lowest and the highest reading in brackets. `~`: the readings differ by more than {WIDE:.0%} of"
    " their median. `x`: how many times as fast ours is. `>`: the other system hit the time limit. `cannot`: the system"
    " has no such call, or answers it otherwise than MLflow; the reasons are below. After seeding, all PostgreSQL"
    " systems ran VACUUM ANALYZE and a checkpoint, which would have come in time. The clients' share is the part of its"
    " time in which a client itself used the processor. Processor time is for one run, call, span or reading."
)


_WITH_ROWS = ("reading", STATEMENTS)


@dataclass(frozen=True)
class Table:
    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def format_value(value: float, unit: str) -> str:
    """Format a value with three digits, and less than a second in milliseconds."""
    if unit == "s":
        return f"{value * 1_000:.0f} ms" if value < 0.9995 else f"{value:.3g} s"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def cell_text(result: Result | None) -> str:
    """The text of one table cell."""
    if result is None:
        return "-"
    if result.over is not None:
        return f"over {result.over:g} s"
    if result.failed is not None:
        return "failed"
    if result.cannot is not None:
        return "cannot"
    median = result.median
    if median is None:
        return "-"
    if len(result.values) == 1:
        return format_value(median, result.unit)
    low, high = format_value(min(result.values), result.unit), format_value(max(result.values), result.unit)
    mark = "~" if result.spread > WIDE else ""
    return f"{mark}{format_value(median, result.unit)} [{low}-{high}]"


def times_as_fast(results: Results, task: str, system: str, size: int) -> str:
    """How many times as fast ours is as another system."""
    other, times = results.get(task, system, size), speedup(results, task, system, OURS, size)
    if not other or times is None:
        return "-"
    return f"{'>' if other.over is not None else ''}x{times:.2f}"


def tables(results: Results, edge_cases: Mapping[str, Mapping[str, str]], lines: Sequence[TargetResult]) -> list[Table]:
    """All tables of the report: each group at each size, the edge cases, and the targets."""
    made = []
    for group in dict.fromkeys(each.group for each in results):
        for size in results.sizes():
            if any(each.group == group and each.size == size for each in results):
                made.append(_group(results, group, size))
                if any(each.group == group and each.size == size and each.server for each in results):
                    made.append(_processors(results, group, size))
    if edge_cases:
        names = list(next(iter(edge_cases.values())))
        rows = [
            [
                name,
                *(edge_cases[system].get(name, "-") for system in edge_cases),
                _yes(len({each.get(name) for each in edge_cases.values()}) == 1),
            ]
            for name in names
        ]
        made.append(Table("edge cases", ["value", *edge_cases, "alike"], rows))
    if lines:
        made.append(
            Table("targets", ["target", "measured", "held"], [[ln.target, ln.measured, _held(ln.met)] for ln in lines])
        )
    return made


def _group(results: Results, group: str, size: int) -> Table:
    systems = results.systems(group)
    compared = (
        [system for system in (TUTORIAL, FASTTRACKML, SQLITE, COMMIT) if system in systems]
        if OURS in systems and group not in ("memory", STATEMENTS)
        else []
    )
    shares = group in ("logging", "sign-in")
    header = [group, "rows" if group in _WITH_ROWS else "unit", *systems, *(f"{system}/{OURS}" for system in compared)]
    rows = []
    for task in results.tasks(group):
        found = {system: results.get(task, system, size) for system in systems}
        known = [each for each in found.values() if each]
        if not known:
            continue
        unit = _rows(known) if group in _WITH_ROWS else known[0].unit
        row = [task, unit, *(cell_text(each) for each in found.values())]
        row += [times_as_fast(results, task, system, size) for system in compared]
        if shares:
            row.append(", ".join(_share(each) for each in found.values()))
        rows.append(row)
    return Table(f"{group}, {size:,} runs", [*header, *(["clients' share"] if shares else [])], rows)


def _processors(results: Results, group: str, size: int) -> Table:
    """The processor time of the server and of PostgreSQL, by system."""
    systems = results.systems(group)
    rows = [
        [task, *(_processor(results.get(task, system, size)) for system in systems)] for task in results.tasks(group)
    ]
    return Table(
        f"{group}, {size:,} runs: processor time in ms, of the server + of PostgreSQL", [group, *systems], rows
    )


def _processor(result: Result | None) -> str:
    server, postgres = (result.processor("server"), result.processor("postgres")) if result else (None, None)
    if server is None or postgres is None:
        return "-"
    return f"{server * 1_000:.3g}" + (f" + {postgres * 1_000:.3g}" if postgres else "")


def _rows(known: Sequence[Result]) -> str:
    """The rows in the answers, which are the same on all systems that gave any."""
    return str(next((each.rows for each in known if each.rows is not None), "-"))


def _share(result: Result | None) -> str:
    share = result.own_share if result else None
    return "-" if share is None else f"{share:.0%}"


def _yes(value: bool) -> str:
    return "yes" if value else "**no**"


def _held(value: bool | None) -> str:
    return {True: "held", False: "**not held**", None: "not measured"}[value]


def markdown(made: Sequence[Table], machine: Mapping[str, Any], notes: Sequence[str]) -> str:
    """The whole report."""
    parts = ["# Benchmark", "\n".join(f"- {key}: {value}" for key, value in machine.items()), LEGEND, *notes]
    for table in made:
        lines = [f"## {table.title}", "", _row(table.header), _row(["---"] * len(table.header))]
        parts.append("\n".join([*lines, *(_row(row) for row in table.rows)]))
    return "\n\n".join(parts) + "\n"


def _row(cells: Sequence[str]) -> str:
    # An unescaped bar would start another table cell.
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def failures(results: Results) -> list[str]:
    """A line for each task that failed, and for each that a system cannot do."""
    return [
        *(f"`{each.task}` on {each.system} at {each.size:,} runs: {each.failed}" for each in results if each.failed),
        *dict.fromkeys(f"`{each.task}`: {each.system} cannot. {each.cannot}" for each in results if each.cannot),
    ]

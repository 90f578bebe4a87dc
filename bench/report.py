"""The report: tables of what was measured, as Markdown and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.results import WIDE, Result, Results, ratio
from bench.sides import OURS, SQLITE, TUTORIAL
from bench.verdict import Line

LEGEND = (
    f"Medians, lowest and highest reading in brackets. `~`: the readings lie further apart than {WIDE:.0%} of their"
    " median. `x`: how many times as fast ours is; `>` where the other one hit the time limit. After seeding,"
    " both PostgreSQL sides had a VACUUM ANALYZE, which autovacuum would have done."
)


@dataclass(frozen=True)
class Table:
    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def shown(value: float, unit: str) -> str:
    """A figure with three digits, and seconds below one as milliseconds."""
    if unit == "s":
        return f"{value * 1_000:.0f} ms" if value < 0.9995 else f"{value:.3g} s"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def cell_text(result: Result | None) -> str:
    """What the table says of one cell on one side."""
    if result is None:
        return "-"
    if result.over is not None:
        return f"over {result.over:g} s"
    if result.failed is not None:
        return "failed"
    median = result.median
    if median is None:
        return "-"
    if len(result.values) == 1:
        return shown(median, result.unit)
    low, high = shown(min(result.values), result.unit), shown(max(result.values), result.unit)
    mark = "~" if result.spread > WIDE else ""
    return f"{mark}{shown(median, result.unit)} [{low}-{high}]"


def faster(results: Results, cell: str, side: str, size: int) -> str:
    """How many times as fast ours is as another side."""
    other, ours = results.get(cell, side, size), results.median(cell, OURS, size)
    if not other:
        return "-"
    # Of speeds, ours is the upper one.
    upper, lower = (ours, other.median) if other.unit == "runs/s" else (results.at_least(cell, side, size), ours)
    times = ratio(upper, lower)
    if times is None:
        return "-"
    return f"{'>' if other.over is not None else ''}x{times:.2f}"


def tables(results: Results, odd: Mapping[str, Mapping[str, str]], lines: Sequence[Line]) -> list[Table]:
    """All tables of the report: each group at each size it was measured at, the odd values, the rules."""
    made = []
    for group in dict.fromkeys(each.group for each in results):
        for size in results.sizes():
            if any(each.group == group and each.size == size for each in results):
                made.append(_group(results, group, size))
    if odd:
        names = list(next(iter(odd.values())))
        rows = [
            [
                name,
                *(odd[side].get(name, "-") for side in odd),
                _yes(len({each.get(name) for each in odd.values()}) == 1),
            ]
            for name in names
        ]
        made.append(Table("odd values", ["value", *odd, "alike"], rows))
    if lines:
        made.append(Table("rules", ["rule", "seen", "holds"], [[ln.rule, ln.seen, _yes(ln.holds)] for ln in lines]))
    return made


def _group(results: Results, group: str, size: int) -> Table:
    sides = results.sides(group)
    compared = [side for side in (TUTORIAL, SQLITE) if side in sides] if OURS in sides and group != "memory" else []
    shares = group in ("logging", "sign-in")
    header = [group, "rows" if group == "reading" else "unit", *sides, *(f"{side}/{OURS}" for side in compared)]
    rows = []
    for cell in results.cells(group):
        found = {side: results.get(cell, side, size) for side in sides}
        known = [each for each in found.values() if each]
        if not known:
            continue
        unit = str(known[0].rows) if group == "reading" else known[0].unit
        row = [cell, unit, *(cell_text(each) for each in found.values())]
        row += [faster(results, cell, side, size) for side in compared]
        if shares:
            row.append(", ".join(_share(each) for each in found.values()))
        rows.append(row)
    return Table(f"{group}, {size:,} runs", [*header, *(["clients' share"] if shares else [])], rows)


def _share(result: Result | None) -> str:
    if not result or not result.client_share:
        return "-"
    return f"{sum(result.client_share) / len(result.client_share):.0%}"


def _yes(value: bool | None) -> str:
    return {True: "yes", False: "**no**", None: "-"}[value]


def markdown(made: Sequence[Table], machine: Mapping[str, Any], notes: Sequence[str]) -> str:
    """The whole report."""
    parts = ["# Benchmark", "\n".join(f"- {key}: {value}" for key, value in machine.items()), LEGEND, *notes]
    for table in made:
        lines = [f"## {table.title}", "", _row(table.header), _row(["---"] * len(table.header))]
        parts.append("\n".join([*lines, *(_row(row) for row in table.rows)]))
    return "\n\n".join(parts) + "\n"


def _row(cells: Sequence[str]) -> str:
    # A bar in a cell would begin another one.
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def failures(results: Results) -> list[str]:
    """What went wrong, in words."""
    return [f"`{each.cell}` on {each.side} at {each.size:,} runs: {each.failed}" for each in results if each.failed]

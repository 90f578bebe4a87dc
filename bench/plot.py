"""The plot: latency by number of runs, log-log, one line for each system, and bars for logging."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot
from matplotlib.axes import Axes

from bench.logging_tasks import CLIENT_RUNS, CLIENTS, LOGGING, RUNS, Kind
from bench.results import Results
from bench.searches import SEARCHES
from bench.systems import COMMIT, FASTTRACKML, OURS, SQLITE, TUTORIAL

# Okabe and Ito's palette, which colour-blind readers can distinguish. Each system also has its own marker.
STYLE = {
    SQLITE: ("#7f7f7f", "s"),
    TUTORIAL: ("#0072b2", "^"),
    FASTTRACKML: ("#009e73", "D"),
    COMMIT: ("#cc79a7", "v"),
    OURS: ("#d55e00", "o"),
}


def draw(results: Results, machine: dict[str, Any], path: Path) -> None:
    """Write the plot as PNG."""
    mpl.use("Agg")
    mpl.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
    figure = pyplot.figure(figsize=(13, 11), layout="constrained")
    grid = figure.add_gridspec(3, 6)
    first: Axes | None = None
    for place, search in enumerate(SEARCHES):
        row, column = divmod(place, 3)
        axes = figure.add_subplot(grid[row, column * 2 : column * 2 + 2], sharex=first, sharey=first)
        first = first or axes
        _lines(axes, results, search.name)
        if column == 0:
            axes.set_ylabel("milliseconds")
        if row == 1:
            axes.set_xlabel("runs in the store")
    for place, kind in enumerate((CLIENT_RUNS, RUNS)):
        _bars(figure.add_subplot(grid[2, place * 3 : place * 3 + 3]), results, kind)
    figure.suptitle(
        f"MLflow {machine['mlflow']}: searches of 100 runs, and logging\n"
        f"{machine['processor']}, {machine['cores']} cores, {machine['date']}: {machine['command']}",
        fontsize=11,
    )
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _lines(axes: Axes, results: Results, task: str) -> None:
    axes.set_title(task, loc="left")
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:,.0f}")
    axes.grid(True, which="major", color="#e5e5e5")
    ends: list[tuple[float, str]] = []
    for system, (colour, mark) in STYLE.items():
        found = [result for size in results.sizes() if (result := results.get(task, system, size))]
        points = [(result.size, value * 1_000) for result in found if (value := result.median) is not None]
        over = [(result.size, result.over * 1_000) for result in found if result.over is not None]
        if points:
            axes.plot(*zip(*points, strict=True), color=colour, marker=mark, linewidth=2)
        for size, limit in over:
            # A hollow marker, and a dotted line from the last reading to it.
            axes.plot([size], [limit], color=colour, marker=mark, markerfacecolor="white", markersize=9)
            axes.annotate(f"over {limit / 1_000:g} s", (size, limit), (-8, -4), textcoords="offset points", ha="right")
            if points:
                axes.plot([points[-1][0], size], [points[-1][1], limit], color=colour, linestyle=":")
        if points or over:
            ends.append(((over or points)[-1][1], system))
    _label_ends(axes, ends, max(results.sizes()))


def _label_ends(axes: Axes, ends: list[tuple[float, str]], size: int) -> None:
    """Write the systems' names at the ends of their lines, without overlap."""
    lowest = 0.0
    for value, system in sorted(ends):
        lowest = max(value, lowest * 1.6)
        axes.annotate(
            system, (size, lowest), (8, -3), textcoords="offset points", color=STYLE[system][0], annotation_clip=False
        )


def _bars(axes: Axes, results: Results, kind: Kind) -> None:
    size = max(results.sizes())
    systems = [system for system in STYLE if system in results.systems(LOGGING)]
    width = 0.84 / max(len(systems), 1)
    axes.set_title(kind.label, loc="left")
    axes.set_ylabel("runs per second")
    axes.set_xticks(range(len(CLIENTS)), [f"{count} client{'s' if count > 1 else ''}" for count in CLIENTS])
    for place, system in enumerate(systems):
        colour = STYLE[system][0]
        for group, count in enumerate(CLIENTS):
            result = results.get(kind.task_name(count), system, size)
            median = result.median if result else None
            where = group + (place - (len(systems) - 1) / 2) * width
            if result is None or median is None:
                axes.annotate(f"{system}: none", (where, 0), rotation=90, ha="center", va="bottom", color=colour)
                continue
            reach = [[median - min(result.values)], [max(result.values) - median]]
            axes.bar(where, median, width * 0.92, color=colour, yerr=reach, ecolor="#333333", capsize=2)
            axes.annotate(
                f"{system} {median:.1f}",
                (where, max(result.values)),
                (0, 4),
                textcoords="offset points",
                rotation=90,
                ha="center",
                va="bottom",
                fontsize=8,
            )
    # Room for the names above the highest bars.
    axes.margins(y=0.6)

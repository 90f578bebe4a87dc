"""What each of our own indexes is worth: every search with it and without it, and logging with all and with none."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from bench.logging_work import Clients, Logging
from bench.options import SEED, Options
from bench.product import Product
from bench.report import Table
from bench.room import Room, say
from bench.searches import SEARCHES, floor_of
from bench.seed import Stores
from bench.sides import Side, start_ours
from bench.work import Cell, cells

CLIENTS = 8
SLOWER = 0.97
"""Least share of the speed without our indexes that logging must keep."""
SETTLING = 15.0
"""Seconds of logging that are not counted: after a checkpoint, which there is every 15 minutes, PostgreSQL writes the
whole of each page that it changes for the first time."""
COUNTED = 10.0
"""Seconds of logging that are."""
_OURS = "SELECT indexname, indexdef FROM pg_indexes WHERE indexname LIKE 'mlflow\\_postgres\\_%' ORDER BY 1"


def weigh_indexes(options: Options, room: Room) -> list[Table]:
    """Two tables: ratios of the searches, and of logging, at the last of the sizes."""
    say("bringing up the project")
    product = Product(room)
    side = start_ours(product)
    side.wait()
    stores = Stores([side], SEED)
    stores.fill()
    stores.grow(options.sizes[-1])
    side.warm()
    indexes = dict(line.split("|", 1) for line in side.psql(_OURS).splitlines())
    floors = {floor_of(search.name) for search in SEARCHES}
    work = [cell for cell in cells(stores, side, options.samples, 60) if cell.name not in floors]
    return [_searches(options, side, indexes, work), _logging(options, side, indexes, stores)]


def _searches(options: Options, side: Side, indexes: dict[str, str], work: list[Cell]) -> Table:
    columns: dict[str, dict[str, str]] = {}
    for name, definition in indexes.items():
        say(f"searches with and without {name}")
        having = _medians(options, side, work)
        side.psql(f'DROP INDEX "{name}"', "ANALYZE")
        lacking = _medians(options, side, work)
        side.psql(definition, "ANALYZE")
        columns[name] = {cell.name: f"x{lacking[cell.name] / having[cell.name]:.2f}" for cell in work}
    rows = [[cell.name, *(column[cell.name] for column in columns.values())] for cell in work]
    return Table(
        f"without this index a search takes so many times as long, {options.sizes[-1]:,} runs",
        ["search", *(name.removeprefix("mlflow_postgres_") for name in columns)],
        rows,
    )


def _medians(options: Options, side: Side, work: list[Cell]) -> dict[str, float]:
    """Medians in seconds, the first round not counted."""
    readings: dict[str, list[float]] = {cell.name: [] for cell in work}
    for number in range(options.rounds + 1):
        for cell in work:
            seconds = cell.measure(side)
            if number:
                readings[cell.name] += seconds
    return {name: statistics.median(seconds) for name, seconds in readings.items()}


def _logging(options: Options, side: Side, indexes: dict[str, str], stores: Stores) -> Table:
    clients = Clients(CLIENTS)
    try:
        clients.wait()
        settling, task = (
            Logging(CLIENTS, "http", clients, stores.experiments.logged, seconds, 60) for seconds in (SETTLING, COUNTED)
        )
        ratios = []
        for number in range(options.rounds + 1):
            say(f"logging with all and with no index of ours: round {number} of {options.rounds}")
            # The order turns, or what the store grows by in a round would always count against the same one.
            speeds = {
                having: _speed([settling, task], side, indexes, having)
                for having in ([True, False], [False, True])[number % 2]
            }
            if number:
                ratios.append(speeds[True] / speeds[False])
    finally:
        clients.stop()
    median = statistics.median(ratios)
    row = [task.name, f"{median:.3f} [{min(ratios):.3f}-{max(ratios):.3f}]", "yes" if median >= SLOWER else "no"]
    rule = f"at least {SLOWER:g}"
    return Table(
        "logging of runs, runs/s with all of our indexes, as a share of those with none",
        ["logging", "share", rule],
        [row],
    )


def _speed(tasks: Sequence[Logging], side: Side, indexes: dict[str, str], having: bool) -> float:
    """Runs a second of the last of some tasks, done one after the other."""
    if not having:
        side.psql(*(f'DROP INDEX "{name}"' for name in indexes))
    try:
        side.psql("CHECKPOINT")
        for task in tasks:
            (speed,) = task.measure(side)
    finally:
        if not having:
            side.psql(*indexes.values(), "ANALYZE")
    return speed

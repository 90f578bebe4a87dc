"""The gain of each of our indexes: every search with and without it, and logging with all and with none."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from bench.environment import Environment, progress
from bench.logging_tasks import RUNS, Clients, Logging
from bench.options import SEED, Options
from bench.product import Product
from bench.read_tasks import ReadTask, read_tasks
from bench.report import Table
from bench.stores import Stores
from bench.systems import System, start_product

CLIENTS = 8
SLOWER = 0.97
"""Logging must keep at least this share of its speed without our indexes."""
SETTLING = 15.0
"""Seconds of logging before the measurement. After a checkpoint, which comes every 15 minutes, PostgreSQL writes each
changed page as a whole once."""
COUNTED = 10.0
"""Seconds of logging in the measurement."""
_OURS = "SELECT indexname, indexdef FROM pg_indexes WHERE indexname LIKE 'mlflow\\_postgres\\_%' ORDER BY 1"


def measure_indexes(options: Options, environment: Environment) -> list[Table]:
    """Two tables, at the last of the sizes: ratios of the searches, and the ratio of logging."""
    progress("starting the project")
    product = Product(environment)
    system = start_product(product)
    system.wait()
    stores = Stores([system], SEED)
    stores.fill()
    stores.grow(options.sizes[-1])
    system.warm_up()
    indexes = dict(line.split("|", 1) for line in system.psql(_OURS).splitlines())
    work = read_tasks(stores, system, options.samples, 60)
    return [_searches(options, system, indexes, work), _logging(options, system, indexes, stores)]


def _searches(options: Options, system: System, indexes: dict[str, str], work: list[ReadTask]) -> Table:
    columns: dict[str, dict[str, str]] = {}
    for name, definition in indexes.items():
        progress(f"searches with and without {name}")
        with_index = _medians(options, system, work)
        system.psql(f'DROP INDEX "{name}"', "ANALYZE")
        without_index = _medians(options, system, work)
        system.psql(definition, "ANALYZE")
        columns[name] = {task.name: f"x{without_index[task.name] / with_index[task.name]:.2f}" for task in work}
    rows = [[task.name, *(column[task.name] for column in columns.values())] for task in work]
    return Table(
        f"a search without this index takes this many times as long, {options.sizes[-1]:,} runs",
        ["search", *(name.removeprefix("mlflow_postgres_") for name in columns)],
        rows,
    )


def _medians(options: Options, system: System, work: list[ReadTask]) -> dict[str, float]:
    """Medians in seconds, without the first round."""
    readings: dict[str, list[float]] = {task.name: [] for task in work}
    for number in range(options.rounds + 1):
        for task in work:
            seconds = task.measure(system)
            if number:
                readings[task.name] += seconds
    return {name: statistics.median(seconds) for name, seconds in readings.items()}


def _logging(options: Options, system: System, indexes: dict[str, str], stores: Stores) -> Table:
    clients = Clients(CLIENTS)
    try:
        clients.wait()
        settling, task = (
            Logging(CLIENTS, RUNS, clients, stores.experiments.logged, seconds, 60) for seconds in (SETTLING, COUNTED)
        )
        ratios = []
        for number in range(options.rounds + 1):
            progress(f"logging with all and with no index of ours: round {number} of {options.rounds}")
            # Alternates the order, because the store grows during a round and slows down the second measurement.
            speeds = {
                with_indexes: _speed([settling, task], system, indexes, with_indexes)
                for with_indexes in ([True, False], [False, True])[number % 2]
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


def _speed(tasks: Sequence[Logging], system: System, indexes: dict[str, str], with_indexes: bool) -> float:
    """Run the tasks one after the other, and return the runs a second of the last."""
    if not with_indexes:
        system.psql(*(f'DROP INDEX "{name}"' for name in indexes))
    try:
        system.psql("CHECKPOINT")
        for task in tasks:
            (speed,) = task.measure(system)
    finally:
        if not with_indexes:
            system.psql(*indexes.values(), "ANALYZE")
    return speed

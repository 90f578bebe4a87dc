"""What PostgreSQL itself takes for a search: the durations that it logs, which begin and end at its own door."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.connection import WrongAnswerError
from bench.read_tasks import ReadTask
from bench.systems import System
from bench.task import Task

STATEMENTS = "statements"
_DURATION = re.compile(rb"duration: ([0-9.]+) ms")
_SETTLES = 0.1
"""Seconds in which a changed setting reaches every session, and a line of the log the engine."""


def part_of(search: str) -> str:
    """The name of the task that measures PostgreSQL's part of a search."""
    return f"PostgreSQL's part: {search}"


@dataclass
class StatementTask(Task):
    """Seconds that PostgreSQL takes for the statements of one search: to parse, plan, execute and send."""

    search: ReadTask
    group: str = STATEMENTS
    unit: str = "s"
    limit: float = field(init=False)

    def __post_init__(self) -> None:
        self.name, self.limit = part_of(self.search.name), self.search.limit

    def measure(self, system: System) -> list[float]:
        assert system.postgres
        with system.connect(self.limit) as connection:
            # The database session that the worker may have to open is not part of the search.
            self.search.fetch(connection)
            time.sleep(_SETTLES)
            began = time.time()
            for _ in range(self.search.samples):
                self.search.fetch(connection)
            time.sleep(_SETTLES)
        logged = [float(each) for each in _DURATION.findall(system.postgres.logs(since=began))]
        if not logged:
            raise WrongAnswerError("PostgreSQL logged no statement")
        return [sum(logged) / self.search.samples / 1_000]

    def rows(self) -> int:
        return self.search.rows()


@contextmanager
def logged_durations(systems: Sequence[System]) -> Iterator[None]:
    """PostgreSQL logs how long each statement takes while the block runs, and not the statements."""
    for system in systems:
        system.psql("ALTER SYSTEM SET log_duration = on", "SELECT pg_reload_conf()")
    time.sleep(_SETTLES)
    try:
        yield
    finally:
        for system in systems:
            system.psql("ALTER SYSTEM RESET log_duration", "SELECT pg_reload_conf()")

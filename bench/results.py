"""The results: readings by task, system and size, and their statistics. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

WIDE = 0.5
"""The report marks readings that differ by more than this share of their median."""


@dataclass
class Result:
    """The readings of one task on one system, or the reason why there are none."""

    group: str
    """The table in the report: reading, statements, logging, artifacts, starts, memory or sign-in."""
    task: str
    system: str
    size: int
    """Runs in the store."""
    unit: str
    """s, MiB, or a speed: runs/s, calls/s or spans/s."""
    values: list[float] = field(default_factory=list)
    rows: int | None = None
    """Rows in the answer."""
    over: float | None = None
    """The time limit in seconds, if it was hit. The task is not repeated then."""
    failed: str | None = None
    """The error, if there was one. The task is not repeated then."""
    cannot: str | None = None
    """The answer of a system that has no such call. The task is not repeated then."""
    server: list[float] = field(default_factory=list)
    """Processor time of the server for one call or one run, in seconds."""
    postgres: list[float] = field(default_factory=list)
    """Processor time of PostgreSQL for the same, in seconds."""
    client_share: list[float] = field(default_factory=list)
    """Logging only: the part of its time in which a client itself used the processor, from 0 to 1."""

    @property
    def closed(self) -> bool:
        return not (self.over is None and self.failed is None and self.cannot is None)

    @property
    def median(self) -> float | None:
        """None without readings, and for a task that hit its limit or failed."""
        return None if self.closed or not self.values else statistics.median(self.values)

    @property
    def is_speed(self) -> bool:
        """Whether more is better."""
        return self.unit.endswith("/s")

    @property
    def own_share(self) -> float | None:
        """The part of its time in which a client itself used the processor: the median of the rounds."""
        return statistics.median(self.client_share) if self.client_share else None

    @property
    def rest(self) -> float | None:
        """What is not the client's own of the time that one run takes. Its unit is the same on all systems."""
        median, share = self.median, self.own_share
        return (1 - share) / median if median and share is not None else None

    def processor(self, of: Literal["server", "postgres"]) -> float | None:
        """Processor time in seconds for one call or run: the median of the rounds. None if it was not measured."""
        taken = self.server if of == "server" else self.postgres
        return statistics.median(taken) if taken and not self.closed else None

    @property
    def spread(self) -> float:
        """Difference between the highest and the lowest reading, as a share of the median."""
        median = self.median
        return (max(self.values) - min(self.values)) / median if median else 0.0


class Results:
    """All results of a run, in the order of their first measurement."""

    def __init__(self) -> None:
        self._all: dict[tuple[str, str, int], Result] = {}

    def __iter__(self) -> Iterator[Result]:
        return iter(self._all.values())

    def of(self, group: str, task: str, system: str, size: int, unit: str) -> Result:
        """The result of a task on a system. Created on first use."""
        return self._all.setdefault((task, system, size), Result(group, task, system, size, unit))

    def get(self, task: str, system: str, size: int) -> Result | None:
        return self._all.get((task, system, size))

    def median(self, task: str, system: str, size: int) -> float | None:
        found = self.get(task, system, size)
        return found.median if found else None

    def median_or_limit(self, task: str, system: str, size: int) -> float | None:
        """The median, or the limit if it was hit: the lower bound of the duration."""
        found = self.get(task, system, size)
        if not found:
            return None
        return found.over if found.over is not None else found.median

    def sizes(self) -> list[int]:
        return sorted({each.size for each in self})

    def tasks(self, group: str) -> list[str]:
        return list(dict.fromkeys(each.task for each in self if each.group == group))

    def systems(self, group: str) -> list[str]:
        """The systems of a group, in the same order for all groups."""
        having = {each.system for each in self if each.group == group}
        return [system for system in dict.fromkeys(each.system for each in self) if system in having]

    def as_json(self) -> list[dict[str, Any]]:
        return [{**asdict(each), "median": each.median} for each in self]


def ratio(slow: float | None, fast: float | None) -> float | None:
    """`slow` divided by `fast`. None if one is missing."""
    return slow / fast if slow is not None and fast else None

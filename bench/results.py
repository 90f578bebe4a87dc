"""What was measured: readings by cell, side and size, and the figures made of them. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

WIDE = 0.5
"""A cell whose readings lie further apart than this share of their median is marked."""


@dataclass
class Result:
    """The readings of one cell on one side, or why there are none."""

    group: str
    """What belongs together in the report: reading, logging, artifacts, starts, memory."""
    cell: str
    side: str
    size: int
    """Runs in the store."""
    unit: str
    """s, runs/s or MiB."""
    values: list[float] = field(default_factory=list)
    rows: int | None = None
    """Rows in the answer, the same every time."""
    over: float | None = None
    """The limit in seconds that was hit; not tried again then."""
    failed: str | None = None
    """What was wrong with an answer; not tried again then."""
    client_share: list[float] = field(default_factory=list)
    """Of logging: how much of the machine's processors the clients used themselves, from 0 to 1."""

    @property
    def closed(self) -> bool:
        return self.over is not None or self.failed is not None

    @property
    def median(self) -> float | None:
        """None without readings, and of a cell that was once over the limit or wrong."""
        return None if self.closed or not self.values else statistics.median(self.values)

    @property
    def spread(self) -> float:
        """Distance of the highest and the lowest reading, as a share of the median."""
        median = self.median
        return (max(self.values) - min(self.values)) / median if median else 0.0


class Results:
    """All results of a run, in the order in which they were first asked for."""

    def __init__(self) -> None:
        self._all: dict[tuple[str, str, int], Result] = {}

    def __iter__(self) -> Iterator[Result]:
        return iter(self._all.values())

    def of(self, group: str, cell: str, side: str, size: int, unit: str) -> Result:
        """The result of a cell on a side, made when it is first asked for."""
        return self._all.setdefault((cell, side, size), Result(group, cell, side, size, unit))

    def get(self, cell: str, side: str, size: int) -> Result | None:
        return self._all.get((cell, side, size))

    def median(self, cell: str, side: str, size: int) -> float | None:
        found = self.get(cell, side, size)
        return found.median if found else None

    def at_least(self, cell: str, side: str, size: int) -> float | None:
        """The median, or the limit where that was hit: no less than that is what the cell takes."""
        found = self.get(cell, side, size)
        if not found:
            return None
        return found.over if found.over is not None else found.median

    def sizes(self) -> list[int]:
        return sorted({each.size for each in self})

    def cells(self, group: str) -> list[str]:
        return list(dict.fromkeys(each.cell for each in self if each.group == group))

    def sides(self, group: str) -> list[str]:
        """The sides that a group was measured on, in one order for all groups, whose turn ever came first."""
        having = {each.side for each in self if each.group == group}
        return [side for side in dict.fromkeys(each.side for each in self) if side in having]

    def as_json(self) -> list[dict[str, Any]]:
        return [{**asdict(each), "median": each.median} for each in self]


def ratio(slow: float | None, fast: float | None) -> float | None:
    """How many times the one is of the other; None where one is missing."""
    return slow / fast if slow is not None and fast else None

"""How long calls took, by route, in counts that can be added up. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping

_STEP = math.log(1.02)
"""Two readings that differ by less than 2% count as the same."""

Counts = dict[str, dict[str, int]]
"""By route, how many calls took how long; as JSON has it."""


class Latencies:
    """The times of all calls. An hour of them fits into a few hundred numbers for each route."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[int]] = {}

    def add(self, route: str, seconds: float) -> None:
        self._counts.setdefault(route, Counter())[round(math.log(max(seconds, 1e-6)) / _STEP)] += 1

    def merge(self, counts: Mapping[str, Mapping[str, int]]) -> None:
        """Add what another process has counted."""
        for route, places in counts.items():
            self._counts.setdefault(route, Counter()).update({int(place): count for place, count in places.items()})

    def as_json(self) -> Counts:
        return {route: {str(place): count for place, count in places.items()} for route, places in self._counts.items()}

    def routes(self) -> list[str]:
        return sorted(self._counts)

    def calls(self, route: str) -> int:
        return self._counts[route].total()

    def quantiles(self, route: str, shares: Iterable[float]) -> list[float]:
        """The seconds below which these shares of the calls stayed."""
        return [self._quantile(route, share) for share in shares]

    def _quantile(self, route: str, share: float) -> float:
        places, left = self._counts[route], share * self._counts[route].total()
        for place in sorted(places):
            left -= places[place]
            if left <= 0:
                break
        return math.exp(place * _STEP)

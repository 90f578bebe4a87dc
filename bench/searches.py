"""The searches for 100 runs: the request, and a predicate that counts the matching runs. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from bench.run_data import Run

PAGE = 100
"""Rows that a search requests."""


@dataclass(frozen=True)
class Search:
    name: str
    kind: Literal["newest", "filtered", "ordered"]
    """The kind for the targets. A search with a filter and an order by a metric is "ordered"."""
    filter: str
    order_by: tuple[str, ...]
    matches: Callable[[Run], bool]


SEARCHES = (
    Search("newest 100", "newest", "", (), lambda _: True),
    Search(
        "metric > 0.99, ordered by it",
        "ordered",
        "metrics.m3 > 0.99",
        ("metrics.m3 DESC",),
        lambda run: run.metrics[3] > 0.99,
    ),
    Search("ordered by metric", "ordered", "", ("metrics.m3 DESC",), lambda _: True),
    Search("param = value", "filtered", "params.p1 = '42'", (), lambda run: run.params[1] == "42"),
    Search(
        "tag and metric",
        "filtered",
        "tags.t1 = 'v7' and metrics.m5 > 0.9",
        (),
        lambda run: run.tags[1] == "v7" and run.metrics[5] > 0.9,
    ),
    Search(
        "param LIKE, status",
        "filtered",
        "params.p2 LIKE '4%' and status = 'FINISHED'",
        (),
        lambda run: run.params[2].startswith("4") and run.status == "FINISHED",
    ),
)


class Tally:
    """Counts the runs that match each search."""

    def __init__(self) -> None:
        self._counts = dict.fromkeys((search.name for search in SEARCHES), 0)

    def count(self, runs: Iterable[Run]) -> None:
        for run in runs:
            for search in SEARCHES:
                self._counts[search.name] += search.matches(run)

    def rows(self, search: str) -> int:
        """The number of rows on the first page of a search."""
        return min(PAGE, self._counts[search])

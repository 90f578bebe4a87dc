"""Ways to read a page of runs: one that always finds it, and quick ones that read it in the order of an index.

A quick one finds the page if it is full, or if the statement says that there are no other runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from .filters import Filter, Order, Term


@dataclass(frozen=True)
class Plan:
    """Parts of a statement. It calls a run `run`, and has the page in a CTE named `page`."""

    terms: tuple[Term, ...]
    joins: tuple[str, ...]
    has_order: bool = False
    """Whether PostgreSQL can read the runs in their order, and stop when the page is full."""
    before: str = ""
    """Common table expressions."""
    first: str = ""
    """A subquery of some runs. The page is searched among them, and among all runs that meet the condition."""
    condition: str = "TRUE"
    is_all: str = "TRUE"
    """Whether the page, if it is not full, is the last one."""
    values: Mapping[str, str] = field(default_factory=dict)


def usual(found: Filter, order: Order) -> Plan:
    return Plan(terms=order.terms, joins=order.joins, has_order=not (found.joins or order.joins))


@dataclass(frozen=True)
class Place:
    """The experiments and the stages of a search."""

    condition: str
    is_one: bool
    """Whether an index has the order of its runs."""


def quick(found: Filter, order: Order, place: Place, end: int) -> Plan | None:
    """For a page that ends at this run of all that are found. None if there is no quick way."""
    if order.metric and end <= _DEEPEST:
        return _among_best(found, order, end)
    if found.joins and order.terms in _NEWEST_FIRST and place.is_one and end <= _DEEPEST:
        return _among_newest(found, order, place, end)
    if order.terms[0] == _BY_START and not (found.joins or order.joins):
        return Plan(
            # The index has runs without a start time at its other end.
            terms=(("run.start_time", "DESC"), *order.terms[1:]),
            joins=(),
            has_order=True,
            condition="run.start_time IS NOT NULL",
            is_all=f"NOT EXISTS (SELECT FROM runs AS run WHERE {place.condition} AND run.start_time IS NULL)",
        )
    return None


_BY_START: Final = ("run.start_time", "DESC NULLS LAST")
_LAST: Final = ("run.run_uuid", "ASC")
_NEWEST_FIRST: Final = ((_BY_START, _LAST), (("run.start_time", "DESC"), _LAST))

_LEAST, _MOST, _TIMES = 3_000, 50_000, 30
"""Values of a metric that count as the best: as many times the end of the page, between the two."""
_DEEPEST = 10_000
"""The last end of a page that is searched among the best. ADR 10 has the reasons."""
_BETTER: Final = {"ASC": ("<", "'Infinity'::float8"), "DESC": (">", "'-Infinity'::float8")}
"""How the values before another one compare with it, and the value that all are better than, by the direction."""

_BEYOND: Final = """
beyond AS MATERIALIZED (
  SELECT value FROM latest_metrics WHERE key = %(o0_key)s::varchar AND NOT is_nan {ranges}
   ORDER BY value {direction} OFFSET %(best)s::bigint LIMIT 1
),
"""
# Of the runs whose value equals the first one beyond the best there may be any number: none of these is among them.
_JOIN_BEST: Final = """
JOIN (
  SELECT run_uuid, value FROM latest_metrics WHERE key = %(o0_key)s::varchar AND NOT is_nan {ranges}
     AND value {better} coalesce((SELECT value FROM beyond), {worst}) ORDER BY value {direction} LIMIT %(best)s::bigint
) AS o0 ON o0.run_uuid = run.run_uuid
"""
_IS_ALL: Final = """
(NOT EXISTS (SELECT FROM beyond)
 AND NOT EXISTS (SELECT FROM latest_metrics WHERE key = %(o0_key)s::varchar AND value = {worst}))
"""


def _among_best(found: Filter, order: Order, end: int) -> Plan:
    """Among the runs with the best values of the metric, within the bounds that the filter sets for it."""
    direction = order.terms[1][1].partition(" ")[0]
    better, worst = _BETTER[direction]
    ranges = [condition for metric, condition in found.ranges if metric == order.metric]
    parts = {"direction": direction, "better": better, "worst": worst}
    parts["ranges"] = "".join(f" AND {each}" for each in ranges)
    return Plan(
        # All of them have a value.
        terms=(("o0.value", direction), *order.terms[2:]),
        joins=(_JOIN_BEST.format(**parts), *order.joins[1:]),
        has_order=not (found.joins or order.joins[1:]),
        before=_BEYOND.format(**parts),
        # Without bounds, runs without the metric come behind them.
        is_all=_IS_ALL.format(**parts) if ranges else "FALSE",
        values={"best": str(min(max(_LEAST, _TIMES * end), _MOST))},
    )


_FEW: Final = 300
"""Rows of an index that are read to find out whether a condition finds more."""
_NEWEST_TIMES: Final = 120
"""Runs that count as the newest: as many times the end of the page, between the least and the most."""

_FEWER: Final = "(SELECT count(*) FROM (SELECT FROM {rows} LIMIT %(few)s::bigint) AS few) < %(few)s::bigint"
_RARE: Final = """
rare AS MATERIALIZED (SELECT {is_rare} AS is_rare),
"""
_IS_RARE: Final = "(SELECT is_rare FROM rare)"
_NEWEST_RUNS: Final = """
(SELECT * FROM runs AS run WHERE {place} AND {condition} AND NOT {is_rare}
  ORDER BY start_time DESC, run_uuid LIMIT %(newest)s::bigint) AS run
"""
# The runs are counted only if the page is not full.
_HAS_NO_OTHER: Final = """
(NOT EXISTS (SELECT FROM runs AS run WHERE {place} AND NOT {condition})
 AND ({is_rare} OR (SELECT count(*) FROM page) < %(limit)s::bigint
                   AND NOT EXISTS (SELECT FROM runs AS run WHERE {place} OFFSET %(newest)s::bigint)))
"""


def _among_newest(found: Filter, order: Order, place: Place, end: int) -> Plan:
    """Among the newest runs. Where a condition finds few rows, no run is read but those that it finds."""
    fewer = [_FEWER.format(rows=rows) for rows in found.lists]
    parts = {"place": place.condition, "condition": "TRUE", "is_rare": _IS_RARE}
    if order.terms[0] == _BY_START:
        parts["condition"] = "(run.start_time IS NOT NULL)"
    return Plan(
        terms=(("run.start_time", "DESC"), _LAST),
        joins=(),
        before=_RARE.format(is_rare=" OR ".join(fewer) or "FALSE"),
        first=_NEWEST_RUNS.format(**parts),
        condition=f"{parts['condition']} AND {_IS_RARE}",
        is_all=_HAS_NO_OTHER.format(**parts),
        values={"newest": str(min(max(_LEAST, _NEWEST_TIMES * end), _MOST)), "few": str(_FEW)},
    )

"""Searches for runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal

import msgspec

from . import answers, arrays, filters, pages, run_columns
from .arguments import Arguments, ExperimentId
from .database import Database, Row
from .errors import NotServed

_STAGES: Final = {"ACTIVE_ONLY": ("active",), "DELETED_ONLY": ("deleted",), "ALL": ("active", "deleted")}

# Runs are found first and put in order then: in one step, PostgreSQL may look for a rare run in the order of all.
# Without a join there is nothing to look for, and an index has the order.
_SEARCH: Final = """
WITH {beyond} found AS {materialized} (
  SELECT run.run_uuid{columns}
    FROM runs AS run
    {joins}
   WHERE {place} AND {condition}
), page AS (
  SELECT run_uuid, row_number() OVER () AS place
    FROM (SELECT run_uuid FROM found ORDER BY {order} OFFSET %(offset)s::bigint LIMIT %(limit)s::bigint) AS page
)
SELECT {is_plain}, {is_all}, {info} AS info, {data}, {datasets}
  FROM page JOIN runs AS run USING (run_uuid) ORDER BY place
"""


# The best values of a metric, read in the order of an index until the page is full. Of those that equal the first one
# beyond them there may be any number, so none of these is among the best.
_BEYOND: Final = """
beyond AS MATERIALIZED (
  SELECT value FROM latest_metrics WHERE key = %(o0_key)s::varchar AND NOT is_nan {ranges}
   ORDER BY value {direction} OFFSET %(best)s::bigint LIMIT 1
),
"""
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
_BETTER: Final = {"ASC": ("<", "'Infinity'::float8"), "DESC": (">", "'-Infinity'::float8")}
"""How the values before another one compare with it, and the value that all are better than, by the direction."""
_LEAST, _MOST, _TIMES = 3_000, 50_000, 30
"""Values that count as the best: as many times the end of the page, between the two."""
_DEEPEST = 10_000
"""The last end of a page that is searched among the best. `database/metric_order.py` has the reasons."""


class Search(Arguments):
    experiment_ids: Sequence[ExperimentId] = ()
    filter: str = ""
    run_view_type: Literal["ACTIVE_ONLY", "DELETED_ONLY", "ALL"] = "ACTIVE_ONLY"
    max_results: Annotated[int, msgspec.Meta(ge=1, le=50_000)] = 1_000
    order_by: Sequence[str] = ()
    page_token: str = ""


async def search(database: Database, arguments: Search) -> bytes:
    before = pages.offset(arguments.page_token)
    most = arguments.max_results
    found = filters.translated(arguments.filter)
    order = filters.ordered(tuple(arguments.order_by))
    rows = None
    if order.metric and before + most <= _DEEPEST:
        rows = await _rows(database, arguments, found, order, before, is_among_best=True)
        # The next page begins among the best as well, or there are no others that meet the filter.
        if len(rows) <= most and not (_ranges(found, order) and rows and rows[0][1] == b"t"):
            rows = None
    if rows is None:
        rows = await _rows(database, arguments, found, order, before, is_among_best=False)
    if any(row[0] == b"f" for row in rows[:most]):
        raise NotServed
    fields = []
    if rows:
        fields.append(b'"runs":[%b]' % b",".join([answers.run(*row[2:]) for row in rows[:most]]))
    if len(rows) > most:
        fields.append(b'"next_page_token":"%b"' % pages.token(before + most))
    return answers.ascii_json(b"{%b}" % b",".join(fields))


async def _rows(
    database: Database,
    arguments: Search,
    found: filters.Filter,
    order: filters.Order,
    before: int,
    *,
    is_among_best: bool,
) -> list[Row]:
    """The runs of a page, and the one after it."""
    place, stages = _place(arguments.experiment_ids, _STAGES[arguments.run_view_type])
    joins, terms, beyond, is_all = order.joins, order.terms, "", "TRUE"
    if is_among_best:
        # All of them have a value.
        direction = order.terms[1][1].partition(" ")[0]
        better, worst = _BETTER[direction]
        parts = {"direction": direction, "better": better, "worst": worst}
        parts["ranges"] = "".join(f" AND {each}" for each in _ranges(found, order))
        joins, terms = (_JOIN_BEST.format(**parts), *joins[1:]), (("o0.value", direction), *terms[2:])
        beyond, is_all = _BEYOND.format(**parts), _IS_ALL.format(**parts)
    names = [f"c{number}" for number in range(len(terms))]
    statement = _SEARCH.format(
        beyond=beyond,
        materialized="MATERIALIZED" if found.joins or joins[is_among_best:] else "NOT MATERIALIZED",
        columns="".join(f", {term} AS {name}" for name, (term, _) in zip(names, terms, strict=True)),
        joins="\n".join([found.joins, *joins]),
        place=place,
        condition=found.condition,
        order=", ".join(f"{name} {direction}" for name, (_, direction) in zip(names, terms, strict=True)),
        is_plain=run_columns.IS_PLAIN,
        is_all=is_all,
        info=run_columns.INFO,
        data=run_columns.DATA,
        datasets=run_columns.DATASETS,
    )
    values = {**found.values, **order.values, **stages, "offset": str(before), "limit": str(arguments.max_results + 1)}
    if is_among_best:
        values["best"] = str(min(max(_LEAST, _TIMES * (before + arguments.max_results)), _MOST))
    return await database.read(statement, values, prepare=False)


def _ranges(found: filters.Filter, order: filters.Order) -> list[str]:
    """The filter's conditions on the metric that the runs are in the order of."""
    return [condition for metric, condition in found.ranges if metric == order.metric]


def _place(experiment_ids: Sequence[str], stages: Sequence[str]) -> tuple[str, dict[str, str]]:
    """The condition on the experiments and the stages. An index has the order of one of each."""
    is_one = len(experiment_ids) == 1
    values = {
        "experiments": experiment_ids[0] if is_one else arrays.of_texts(experiment_ids),
        "stages": stages[0] if len(stages) == 1 else arrays.of_texts(stages),
    }
    of_experiments = "= %(experiments)s::integer" if is_one else "= ANY(%(experiments)s::integer[])"
    of_stages = "= %(stages)s::varchar" if len(stages) == 1 else "= ANY(%(stages)s::varchar[])"
    return f"run.experiment_id {of_experiments} AND run.lifecycle_stage {of_stages}", values

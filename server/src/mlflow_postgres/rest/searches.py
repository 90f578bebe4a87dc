"""Searches for runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal

import msgspec

from . import answers, arrays, filters, pages, run_columns
from .arguments import Arguments, ExperimentId
from .database import Database
from .errors import NotServed

_STAGES: Final = {"ACTIVE_ONLY": ("active",), "DELETED_ONLY": ("deleted",), "ALL": ("active", "deleted")}

# Runs are found first and put in order then: in one step, PostgreSQL may look for a rare run in the order of all.
# Without a join there is nothing to look for, and an index has the order.
_SEARCH: Final = """
WITH found AS {materialized} (
  SELECT run.run_uuid{columns}
    FROM runs AS run
    {joins}
   WHERE {place} AND {condition}
), page AS (
  SELECT run_uuid, row_number() OVER () AS place
    FROM (SELECT run_uuid FROM found ORDER BY {order} OFFSET %(offset)s::bigint LIMIT %(limit)s::bigint) AS page
)
SELECT {is_plain}, {info} AS info, {data}, {datasets}
  FROM page JOIN runs AS run USING (run_uuid) ORDER BY place
"""


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
    place, stages = _place(arguments.experiment_ids, _STAGES[arguments.run_view_type])
    names = [f"c{number}" for number in range(len(order.terms))]
    statement = _SEARCH.format(
        materialized="MATERIALIZED" if found.joins or order.joins else "NOT MATERIALIZED",
        columns="".join(f", {term} AS {name}" for name, (term, _) in zip(names, order.terms, strict=True)),
        joins=f"{found.joins}\n{order.joins}",
        place=place,
        condition=found.condition,
        order=", ".join(f"{name} {direction}" for name, (_, direction) in zip(names, order.terms, strict=True)),
        is_plain=run_columns.IS_PLAIN,
        info=run_columns.INFO,
        data=run_columns.DATA,
        datasets=run_columns.DATASETS,
    )
    values = {**found.values, **order.values, **stages, "offset": str(before), "limit": str(most + 1)}
    rows = await database.read(statement, values, prepare=False)
    if any(row[0] == b"f" for row in rows[:most]):
        raise NotServed
    fields = []
    if rows:
        fields.append(b'"runs":[%b]' % b",".join([answers.run(*row[1:]) for row in rows[:most]]))
    if len(rows) > most:
        fields.append(b'"next_page_token":"%b"' % pages.token(before + most))
    return answers.ascii_json(b"{%b}" % b",".join(fields))


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

"""Searches for runs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Final, Literal, LiteralString

import msgspec

from . import answers, arrays, filters, pages, run_columns, search_plans
from .arguments import Arguments, ExperimentId
from .database import SLICE, Database, Row
from .errors import NotServed

_STAGES: Final = {"ACTIVE_ONLY": ("active",), "DELETED_ONLY": ("deleted",), "ALL": ("active", "deleted")}

# Where no index has the order, runs are found first and put in order then: in one step, PostgreSQL may look for a rare
# run in the order of all.
_SEARCH: Final = """
WITH {before} found AS {materialized} (
  {found}
), page AS (
  SELECT run_uuid, row_number() OVER () AS place
    FROM (SELECT run_uuid FROM found ORDER BY {order} OFFSET %(offset)s::bigint LIMIT %(limit)s::bigint) AS page
)
SELECT run_uuid, {is_whole}, {is_all}, {info} AS info
  FROM page JOIN runs AS run USING (run_uuid) ORDER BY place
"""

# A statement of its own, which PostgreSQL plans once: its plan does not depend on what is searched for. MLflow also
# reads what was logged to the runs of a page after it has found them.
_DATA: Final[LiteralString] = (
    f"SELECT {run_columns.DATA}, {run_columns.DATASETS}, {run_columns.MODEL_OUTPUTS}"
    " FROM unnest(%(run_ids)s::varchar[]) WITH ORDINALITY AS run (run_uuid, place) ORDER BY place"
)
_FOUND: Final = "SELECT run.run_uuid{columns} FROM {runs} {joins} WHERE {place} AND {condition}"


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
    place, values = _place(arguments.experiment_ids, _STAGES[arguments.run_view_type])
    values = {**found.values, **order.values, **values, "offset": str(before), "limit": str(most + 1)}
    rows: list[Row] = []
    quick = search_plans.quick(found, order, place, before + most)
    if quick:
        rows = await database.read(_statement(quick, found, place), {**values, **quick.values}, prepare=False)
    is_found = len(rows) > most or (rows and rows[0][2] == b"t")
    if not is_found:
        usual = search_plans.usual(found, order)
        rows = await database.read(_statement(usual, found, place), values, prepare=False)
    # MLflow also makes an object of the run after the page.
    if any(is_whole == b"f" for _, is_whole, _, _ in rows):
        raise NotServed
    runs = await _written(database, rows[:most])
    fields = []
    if runs:
        fields.append(b'"runs":[%b]' % b",".join(runs))
    if len(rows) > most:
        fields.append(b'"next_page_token":"%b"' % pages.token(before + most))
    return b"{%b}" % b",".join(fields)


async def _written(database: Database, rows: Sequence[Row]) -> list[bytes]:
    """The JSON of the runs of a page."""
    run_ids = arrays.of_texts(run_id.decode() for run_id, _, _, _ in rows)
    data = await database.read(_DATA, {"run_ids": run_ids}) if rows else []
    runs = []
    for number, (row, of_run) in enumerate(zip(rows, data, strict=True), 1):
        runs.append(answers.ascii_json(answers.run(row[3], *of_run)))
        # Other calls go on while a long page is written.
        if number % SLICE == 0:
            await asyncio.sleep(0)
    return runs


def _statement(plan: search_plans.Plan, found: filters.Filter, place: search_plans.Place) -> str:
    """It reads the runs of a page, and the one after it."""
    names = [f"c{number}" for number in range(len(plan.terms))]
    parts = {
        "columns": "".join(f", {term} AS {name}" for name, (term, _) in zip(names, plan.terms, strict=True)),
        "joins": "\n".join([found.joins, *plan.joins]),
        "place": place.condition,
    }
    all_found = _FOUND.format(runs="runs AS run", condition=f"{found.condition} AND {plan.condition}", **parts)
    order = ", ".join(f"{name} {direction}" for name, (_, direction) in zip(names, plan.terms, strict=True))
    if plan.first:
        first_found = _FOUND.format(runs=plan.first, condition=found.condition, **parts)
        end = "%(offset)s::bigint + %(limit)s::bigint"
        all_found = f"({first_found} ORDER BY {order} LIMIT {end}) UNION ALL ({all_found})"
    return _SEARCH.format(
        before=plan.before,
        materialized="NOT MATERIALIZED" if plan.has_order else "MATERIALIZED",
        found=all_found,
        order=order,
        is_whole=run_columns.IS_WHOLE,
        is_all=plan.is_all,
        info=run_columns.INFO,
    )


def _place(experiment_ids: Sequence[str], stages: Sequence[str]) -> tuple[search_plans.Place, dict[str, str]]:
    """The place, and the values of its condition."""
    is_one_experiment, is_one_stage = len(experiment_ids) == 1, len(stages) == 1
    values = {
        "experiments": experiment_ids[0] if is_one_experiment else arrays.of_texts(experiment_ids),
        "stages": stages[0] if is_one_stage else arrays.of_texts(stages),
    }
    of_experiments = "= %(experiments)s::integer" if is_one_experiment else "= ANY(%(experiments)s::integer[])"
    of_stages = "= %(stages)s::varchar" if is_one_stage else "= ANY(%(stages)s::varchar[])"
    condition = f"run.experiment_id {of_experiments} AND run.lifecycle_stage {of_stages}"
    return search_plans.Place(condition, is_one_experiment and is_one_stage), values

"""Searches for traces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal

import msgspec

from . import answers, arrays, pages, trace_filters, traces
from .arguments import Arguments, ExperimentId
from .database import Database

# Where columns of other tables are needed, traces are found first and put in order then: in one step, PostgreSQL may
# look for a rare trace in the order of all.
_SEARCH: Final = """
WITH found AS {materialized} (
  SELECT trace.request_id{columns}
    FROM trace_info AS trace
    {joins}
   WHERE {place} AND {condition}
)
SELECT request_id FROM found ORDER BY {order} OFFSET %(offset)s::bigint LIMIT %(limit)s::bigint
"""


class _Experiment(Arguments):
    experiment_id: ExperimentId


class _Location(Arguments):
    type: Literal["MLFLOW_EXPERIMENT"]
    mlflow_experiment: _Experiment


class Search(Arguments):
    locations: Annotated[Sequence[_Location], msgspec.Meta(min_length=1)]
    filter: str = ""
    max_results: Annotated[int, msgspec.Meta(ge=1, le=500)] = 100
    order_by: Sequence[str] = ()
    page_token: str = ""


async def search(database: Database, arguments: Search) -> bytes:
    before = pages.offset(arguments.page_token)
    most = arguments.max_results
    found = trace_filters.translated(arguments.filter)
    order = trace_filters.ordered(tuple(arguments.order_by))
    experiments = [location.mlflow_experiment.experiment_id for location in arguments.locations]
    where, values = place(experiments)
    values = {**found.values, **order.values, **values, "offset": str(before), "limit": str(most)}
    rows = await database.read(statement(found, order, where), values, prepare=False)
    ids = [trace_id.decode() for (trace_id,) in rows]
    fields = []
    if ids:
        # A statement of its own is parsed and planned once, which takes PostgreSQL a fifth of the time.
        fields.append(b'"traces":[%b]' % b",".join(await traces.infos(database, ids)))
    # Unlike a search for runs, MLflow does not look whether there are more.
    if len(ids) == most:
        fields.append(b'"next_page_token":"%b"' % pages.token(before + most))
    return answers.ascii_json(b"{%b}" % b",".join(fields))


def statement(found: trace_filters.Filter, order: trace_filters.Order, place: str) -> str:
    names = [f"c{number}" for number in range(len(order.terms))]
    return _SEARCH.format(
        materialized="NOT MATERIALIZED" if found.is_of_trace and not order.joins else "MATERIALIZED",
        columns="".join(f", {term} AS {name}" for name, (term, _) in zip(names, order.terms, strict=True)),
        joins=f"{found.joins}\n{order.joins}",
        place=place,
        condition=found.condition,
        order=", ".join(f"{name} {direction}" for name, (_, direction) in zip(names, order.terms, strict=True)),
    )


def place(experiments: Sequence[str]) -> tuple[str, dict[str, str]]:
    """The condition on the experiments. An index has the order of one."""
    if len(experiments) == 1:
        return "trace.experiment_id = %(experiments)s::integer", {"experiments": experiments[0]}
    return "trace.experiment_id = ANY(%(experiments)s::integer[])", {"experiments": arrays.of_texts(experiments)}

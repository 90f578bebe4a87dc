"""Runs in the order of a metric, read in the order of its index for as long as there are runs that have the metric.

MLflow sorts all runs by an expression that puts those last whose metric is not a number, or that have none. No index
serves that: it is on the other side of an outer join. But whatever comes before them is in the plain order of the
values. So the page is first asked for among the first of those alone, which the index gives in their order; only one
that they do not fill is asked for MLflow's way, and not even that where the search wants the metric to be above, below
or equal to something and all that are so have been looked at: no others can match.

The first of them, and not all: other experiments may have the same metric, and better values by the hundred thousand.
"""

from __future__ import annotations

import importlib
from contextvars import ContextVar
from typing import Any

_LEAST = 10_000
"""Values that are looked at for a page, if it takes so many: three microseconds each, a tenth of sorting them all."""
_TIMES = 10
"""As many times the end of the page, where that is more."""

_RANGES = {"=", ">", ">=", "<", "<="}
"""Conditions that no run without the metric meets, nor one whose metric is not a number."""


class _Ordering:
    """The metric that a page is asked in the order of, among the first of the runs that have it."""

    def __init__(self, key: str, is_ascending: bool, most: int) -> None:
        self.key = key
        self.is_ascending = is_ascending
        self.most = most
        """Values that are looked at, and those that are equal to the last of them."""
        self.ranges: list[dict[str, Any]] = []
        """The search's conditions on the metric itself."""
        self.all: Any = None
        """The statement of all values within them, in their order."""
        self.first: Any = None
        """The subquery of the first of them."""


_ordering: ContextVar[_Ordering | None] = ContextVar("ordering", default=None)
"""While such a page is asked for."""


def install() -> None:
    import mlflow

    from . import WRITTEN

    # In the others, what is not a number passes for 0.
    knows_nan = mlflow.__version__ in WRITTEN
    module: Any = importlib.import_module("mlflow.store.tracking.sqlalchemy_store")
    store, utils = module.SqlAlchemyStore, module.SearchUtils
    search, orderby, filters, parse = (
        store._search_runs,
        module._get_orderby_clauses,
        module._get_sqlalchemy_filter_clauses,
        utils.__dict__["parse_search_filter"].__func__,
    )

    def ordering_of(order_by: Any, max_results: Any, page_token: Any) -> _Ordering | None:
        try:
            kind, key, is_ascending = utils.parse_order_by_for_search_runs(order_by[0])
            end = utils.parse_start_offset_from_page_token(page_token) + max_results
        except module.MlflowException:
            # Which of several mistakes a search is refused for, MLflow shall say.
            return None
        key = utils.translate_key_alias(key)
        return _Ordering(key, is_ascending, max(_LEAST, _TIMES * end)) if utils.is_metric(kind, "=") else None

    def _search_runs(
        self: Any,
        experiment_ids: Any,
        filter_string: Any,
        run_view_type: Any,
        max_results: Any,
        order_by: Any,
        page_token: Any,
    ) -> Any:
        arguments = (experiment_ids, filter_string, run_view_type, max_results, order_by, page_token)
        is_served = max_results and order_by and self._get_dialect() == "postgresql"
        ordering = ordering_of(order_by, max_results, page_token) if is_served else None
        if ordering:
            token = _ordering.set(ordering)
            try:
                runs, following = search(self, *arguments)
            finally:
                _ordering.reset(token)
            # One more was there than the page holds: nothing that comes later can be among them.
            if following or (knows_nan and ordering.ranges and not _are_more(self, ordering)):
                return runs, following
        return search(self, *arguments)

    def parse_search_filter(cls: Any, filter_string: Any) -> Any:
        parsed = parse(cls, filter_string)
        ordering = _ordering.get()
        if ordering:
            ordering.ranges = [each for each in parsed if is_range(each, ordering.key)]
        return parsed

    def _get_orderby_clauses(order_by: Any, session: Any) -> Any:
        columns, order, joins = orderby(order_by, session)
        ordering = _ordering.get()
        if not ordering:
            return columns, order, joins
        _find(ordering, utils.get_sql_comparison_func)
        value = ordering.first.c.value
        # Instead of the expression, which is 0 for all of them, and the value from MLflow's subquery.
        in_order = value.asc() if ordering.is_ascending else value.desc()
        return [value, *columns[2:]], [in_order, *order[2:]], [ordering.first, *joins[1:]]

    def _get_sqlalchemy_filter_clauses(parsed: Any, session: Any, dialect: Any) -> Any:
        ordering = _ordering.get()
        if not ordering:
            return filters(parsed, session, dialect)
        attributes, others, datasets = filters(
            [each for each in parsed if each not in ordering.ranges], session, dialect
        )
        # Turns the outer join into an inner one, for it is false where there is no metric.
        return [*attributes, ordering.first.c.value.is_not(None)], others, datasets

    # In this order: between any two of them, searches that other threads make are still MLflow's.
    utils.parse_search_filter = classmethod(parse_search_filter)
    module._get_sqlalchemy_filter_clauses = _get_sqlalchemy_filter_clauses
    module._get_orderby_clauses = _get_orderby_clauses
    store._search_runs = _search_runs


def is_range(condition: dict[str, Any], key: str) -> bool:
    """Whether a condition of a search bounds the values of a metric."""
    return condition["type"] == "metric" and condition["key"] == key and condition["comparator"] in _RANGES


def _find(ordering: _Ordering, comparison: Any) -> None:
    from mlflow.store.tracking.dbmodels.models import SqlLatestMetric
    from sqlalchemy import false, select  # type: ignore[import-not-found]  # only the image has it

    table: Any = SqlLatestMetric
    within = [
        comparison(each["comparator"], "postgresql")(table.value, float(each["value"])) for each in ordering.ranges
    ]
    ordering.all = (
        select(table.run_uuid, table.value)
        .where(table.key == ordering.key, table.is_nan == false(), *within)
        .order_by(table.value.asc() if ordering.is_ascending else table.value.desc())
    )
    # Whatever is equal to the last one is among them: what is not, comes later.
    ordering.first = ordering.all.fetch(ordering.most, with_ties=True).subquery()


def _are_more(store: Any, ordering: _Ordering) -> bool:
    """Whether there are values beside those that were looked at."""
    with store.ManagedSessionMaker() as session:
        return session.execute(ordering.all.offset(ordering.most).limit(1)).first() is not None

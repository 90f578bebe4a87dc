"""Runs in the order of a metric, read in the order of its index for as long as there are runs that have the metric.

MLflow sorts all runs by an expression that puts those last whose metric is not a number, or that have none. No index
serves that: it is on the other side of an outer join. But whatever comes before them is in the plain order of the
values. So the page is first asked for among those alone; only one that they do not fill is asked for MLflow's way, and
not even that where the search wants the metric to be above, below or equal to something: no others can match.

MLflow joins such a condition as a second list of the same metric. Said of the list that gives the order, it is a range
of the index.
"""

from __future__ import annotations

import importlib
from contextvars import ContextVar
from typing import Any

_RANGES = {"=", ">", ">=", "<", "<="}
"""Conditions that no run without the metric meets, nor one whose metric is not a number."""


class _Ordering:
    """The metric that a page is asked in the order of, among the runs that have it."""

    key = ""
    values: Any = None
    """The subquery of its values, once it is there."""
    is_all = False
    """Whether nothing but those runs can match."""


_ordering: ContextVar[_Ordering | None] = ContextVar("ordering", default=None)
"""While such a page is asked for."""


def install() -> None:
    import mlflow

    from . import WRITTEN

    # In the others, what is not a number passes for 0.
    knows_nan = mlflow.__version__ in WRITTEN
    module: Any = importlib.import_module("mlflow.store.tracking.sqlalchemy_store")
    store, utils = module.SqlAlchemyStore, module.SearchUtils
    search, orderby, filters = (
        store._search_runs,
        module._get_orderby_clauses,
        module._get_sqlalchemy_filter_clauses,
    )

    def by_metric(order_by: Any) -> bool:
        try:
            return bool(order_by) and utils.is_metric(utils.parse_order_by_for_search_runs(order_by[0])[0], "=")
        except module.MlflowException:
            # Which of several mistakes a search is refused for, MLflow shall say.
            return False

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
        if max_results and by_metric(order_by):
            ordering = _Ordering()
            token = _ordering.set(ordering)
            try:
                runs, following = search(self, *arguments)
            finally:
                _ordering.reset(token)
            # One more was there than the page holds: nothing that has no number can be among them.
            if following or ordering.is_all:
                return runs, following
        return search(self, *arguments)

    def _get_orderby_clauses(order_by: Any, session: Any) -> Any:
        columns, order, joins = orderby(order_by, session)
        ordering = _ordering.get()
        if ordering:
            ordering.key = utils.parse_order_by_for_search_runs(order_by[0])[1]
            ordering.values = joins[0].c
            # The expression's label: it is 0 for all of them.
            order = order[1:] if isinstance(order[0], str) else order
        return columns, order, joins

    def _get_sqlalchemy_filter_clauses(parsed: Any, session: Any, dialect: Any) -> Any:
        ordering = _ordering.get()
        if not ordering:
            return filters(parsed, session, dialect)
        ranges = [each for each in parsed if is_range(each, ordering.key)]
        ordering.is_all = knows_nan and bool(ranges)
        attributes, others, datasets = filters([each for each in parsed if each not in ranges], session, dialect)
        said = [
            utils.get_sql_comparison_func(each["comparator"], dialect)(ordering.values.value, float(each["value"]))
            for each in ranges
        ]
        # Also turns the outer join into an inner one, for it is false where there is no metric.
        return [*attributes, ordering.values.is_nan.is_(False), *said], others, datasets

    # In this order: between any two of them, searches that other threads make are still MLflow's.
    module._get_sqlalchemy_filter_clauses = _get_sqlalchemy_filter_clauses
    module._get_orderby_clauses = _get_orderby_clauses
    store._search_runs = _search_runs


def is_range(condition: dict[str, Any], key: str) -> bool:
    """Whether a condition of a search bounds the values of a metric."""
    return condition["type"] == "metric" and condition["key"] == key and condition["comparator"] in _RANGES

"""Runs in the order of a metric, read in the order of its index for as long as there are runs that have the metric.

MLflow sorts all runs by an expression that puts those last whose metric is not a number, or that have none. No index
serves that: it is on the other side of an outer join. But whatever comes before them is in the plain order of the
values. So the page is first asked for among those alone; only one that they do not fill is asked for MLflow's way.
"""

from __future__ import annotations

import importlib
from contextvars import ContextVar
from typing import Any

_metric: ContextVar[list[Any] | None] = ContextVar("metric", default=None)
"""While a page is asked for among the runs that have the metric: the subquery of its values, once it is there."""


def install() -> None:
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
            token = _metric.set([])
            try:
                runs, following = search(self, *arguments)
            finally:
                _metric.reset(token)
            # One more was there than the page holds: nothing that has no number can be among them.
            if following:
                return runs, following
        return search(self, *arguments)

    def _get_orderby_clauses(order_by: Any, session: Any) -> Any:
        columns, order, joins = orderby(order_by, session)
        found = _metric.get()
        if found is not None:
            found.append(joins[0])
            # The expression's label: it is 0 for all of them.
            order = order[1:] if isinstance(order[0], str) else order
        return columns, order, joins

    def _get_sqlalchemy_filter_clauses(parsed: Any, session: Any, dialect: Any) -> Any:
        attributes, others, datasets = filters(parsed, session, dialect)
        if found := _metric.get():
            # Also turns the outer join into an inner one, for it is false where there is no metric.
            attributes = [*attributes, found[0].c.is_nan.is_(False)]
        return attributes, others, datasets

    # In this order: between any two of them, searches that other threads make are still MLflow's.
    module._get_sqlalchemy_filter_clauses = _get_sqlalchemy_filter_clauses
    module._get_orderby_clauses = _get_orderby_clauses
    store._search_runs = _search_runs

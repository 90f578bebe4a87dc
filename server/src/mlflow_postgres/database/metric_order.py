"""Runs in the order of a metric, read in the order of its index for as long as there are runs that have the metric.

MLflow sorts all runs by an expression that puts those last whose metric is not a number, or that have none. No index
serves that: it is on the other side of an outer join. But whatever comes before them is in the plain order of the
values. So the page is first asked for among the best of those alone, which the index gives in their order; only one
that they do not fill is asked for MLflow's way, and not even that where the search wants the metric to be above, below
or equal to something and all that are so were among the best: no others can match.

The best of them, and not all: other experiments may have the same metric, and better values by the hundred thousand.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar

import mlflow
from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlRun
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.search_utils import SearchUtils
from sqlalchemy import ColumnElement, Subquery, false, select
from sqlalchemy.orm import Session

from ..replacement import replace
from .store import WRITTEN

Condition = dict[str, str]
"""One of a search, as MLflow parses it."""
_Comparison = Callable[[str, str], Callable[[object, object], ColumnElement[bool]]]
"""MLflow's, by comparator and dialect."""
_Clauses = list[object]
_Parts = tuple[_Clauses, _Clauses, _Clauses]
"""Of a statement: MLflow's functions give three lists."""

_LEAST, _MOST = 3_000, 50_000
"""Values that count as the best: looking at one takes three microseconds, sorting one of the experiment's own two.

With 3,000, an experiment that has one in thirty of them fills a page of 100.
"""
_TIMES = 30
"""As many times the end of the page, between those two."""
_DEEPEST = 10_000
"""The last end of a page that is asked for so: further on too few of the most are left beside it."""

_EQUAL = "="
_RANGES = {_EQUAL, ">", ">=", "<", "<="}
"""Conditions that no run without the metric meets, nor one whose metric is not a number."""


class _Ordering:
    """The metric that a page is asked in the order of, among the runs that have the best of its values."""

    def __init__(self, key: str, is_ascending: bool, most: int) -> None:
        self.key = key
        self.is_ascending = is_ascending
        self.most = most
        """How many count as the best."""
        self.ranges: list[Condition] = []
        """The search's conditions on the metric itself."""
        self.best: Subquery | None = None
        """The subquery of the best values within them, and of their runs."""
        self.is_all = False
        """Whether there are no others within them."""


_ordering: ContextVar[_Ordering | None] = ContextVar("ordering", default=None)
"""While such a page is asked for."""


def install() -> None:
    # In the others, what is not a number passes for 0.
    knows_nan = mlflow.__version__ in WRITTEN
    module = importlib.import_module("mlflow.store.tracking.sqlalchemy_store")
    store, utils = module.SqlAlchemyStore, module.SearchUtils
    search: Callable[..., tuple[list[SqlRun], str | None]] = store._search_runs
    orderby: Callable[..., _Parts] = module._get_orderby_clauses
    filters: Callable[..., _Parts] = module._get_sqlalchemy_filter_clauses
    parse = utils.__dict__["parse_search_filter"].__func__

    def ordering_of(order_by: Sequence[str], max_results: int, page_token: str | None) -> _Ordering | None:
        try:
            kind, key, is_ascending = utils.parse_order_by_for_search_runs(order_by[0])
            end = utils.parse_start_offset_from_page_token(page_token) + max_results
        except Exception:
            # What is wrong with a search, and which of several mistakes counts, MLflow shall say.
            return None
        if end > _DEEPEST or not utils.is_metric(kind, "="):
            return None
        return _Ordering(utils.translate_key_alias(key), is_ascending, min(max(_LEAST, _TIMES * end), _MOST))

    def _search_runs(
        self: SqlAlchemyStore,
        experiment_ids: Sequence[str],
        filter_string: str | None,
        run_view_type: int,
        max_results: int,
        order_by: Sequence[str] | None,
        page_token: str | None,
    ) -> tuple[list[SqlRun], str | None]:
        arguments = (experiment_ids, filter_string, run_view_type, max_results, order_by, page_token)
        is_served = max_results and self.engine.dialect.name == "postgresql"
        ordering = ordering_of(order_by, max_results, page_token) if is_served and order_by else None
        if ordering:
            token = _ordering.set(ordering)
            try:
                runs, following = search(self, *arguments)
            finally:
                _ordering.reset(token)
            # One more was there than the page holds: nothing that comes later can be among them.
            if following or (knows_nan and ordering.ranges and ordering.is_all):
                return runs, following
        return search(self, *arguments)

    def parse_search_filter(cls: type[SearchUtils], filter_string: str | None) -> list[Condition]:
        parsed: list[Condition] = parse(cls, filter_string)
        ordering = _ordering.get()
        if ordering:
            ordering.ranges = [each for each in parsed if is_range(each, ordering.key)]
        return parsed

    def _get_orderby_clauses(order_by: Sequence[str] | None, session: Session) -> _Parts:
        columns, order, joins = orderby(order_by, session)
        ordering = _ordering.get()
        if not ordering:
            return columns, order, joins
        best = _find(ordering, session, utils.get_sql_comparison_func)
        value = best.c.value
        # Instead of the expression, which is 0 for all of them, and the value from MLflow's subquery.
        in_order = value.asc() if ordering.is_ascending else value.desc()
        return [value, *columns[2:]], [in_order, *order[2:]], [best, *joins[1:]]

    def _get_sqlalchemy_filter_clauses(parsed: list[Condition], session: Session, dialect: str) -> _Parts:
        ordering = _ordering.get()
        if not ordering:
            return filters(parsed, session, dialect)
        attributes, others, datasets = filters(
            [each for each in parsed if each not in ordering.ranges], session, dialect
        )
        assert ordering.best is not None, "MLflow asks for the order first"
        # Turns the outer join into an inner one, for it is false where there is no metric.
        return [*attributes, ordering.best.c.value.is_not(None)], others, datasets

    # In this order: between any two of them, searches that other threads make are still MLflow's.
    replace(utils, parse_search_filter=classmethod(parse_search_filter))
    replace(module, _get_sqlalchemy_filter_clauses=_get_sqlalchemy_filter_clauses)
    replace(module, _get_orderby_clauses=_get_orderby_clauses)
    replace(store, _search_runs=_search_runs)


def is_range(condition: Mapping[str, object], key: str) -> bool:
    """Whether a condition of a search bounds the values of a metric."""
    return condition["type"] == "metric" and condition["key"] == key and condition["comparator"] in _RANGES


def _find(ordering: _Ordering, session: Session, comparison: _Comparison) -> Subquery:
    """Ask where the best values end."""
    table = SqlLatestMetric
    value: ColumnElement[float] = table.value
    conditions: list[ColumnElement[bool]] = [table.key == ordering.key, table.is_nan == false()]
    for each in ordering.ranges:
        conditions.append(comparison(each["comparator"], "postgresql")(value, float(each["value"])))
    in_order = value.asc() if ordering.is_ascending else value.desc()
    after = select(value).where(*conditions).order_by(in_order).offset(ordering.most).limit(1)
    # Of values that are all equal none are better.
    is_equal = any(each["comparator"] == _EQUAL for each in ordering.ranges)
    next_one = None if is_equal else session.execute(after).first()
    if next_one:
        # Not those that are equal to it: there may be any number of them, and all would have to be sorted.
        conditions.append(value < next_one.value if ordering.is_ascending else value > next_one.value)
    ordering.is_all = not next_one
    ordering.best = select(table.run_uuid, value).where(*conditions).subquery()
    return ordering.best

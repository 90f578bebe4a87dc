"""The metrics, parameters and tags of a page of runs as plain rows: an object of SQLAlchemy's for each costs more
than everything else that a search does."""

from __future__ import annotations

from collections import defaultdict
from contextvars import ContextVar
from typing import Any, NamedTuple

_searching: ContextVar[bool] = ContextVar("searching", default=False)
"""Whether runs are read for a page, all of them in one session."""


class _Detail(NamedTuple):
    """A row that gives what the object of its table would give."""

    table: Any
    row: Any

    def to_mlflow_entity(self) -> Any:
        return self.table.to_mlflow_entity(self.row)


def install() -> None:
    from mlflow.store.tracking.dbmodels import models
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store: Any = SqlAlchemyStore
    table_of_runs: Any = models.SqlRun
    search, options, entity = (
        store._search_runs,
        store._get_eager_run_query_options,
        table_of_runs.to_mlflow_entity,
    )

    def _search_runs(*arguments: Any, **named: Any) -> Any:
        token = _searching.set(True)
        try:
            return search(*arguments, **named)
        finally:
            _searching.reset(token)

    def _get_eager_run_query_options() -> Any:
        return [] if _searching.get() else options()

    def to_mlflow_entity(run: Any) -> Any:
        if _searching.get() and "params" not in run.__dict__:
            _read(run)
        return entity(run)

    store._search_runs = _search_runs
    store._get_eager_run_query_options = staticmethod(_get_eager_run_query_options)
    table_of_runs.to_mlflow_entity = to_mlflow_entity


def _read(run: Any) -> None:
    """Give every run of this one's session its details, in three queries."""
    from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlParam, SqlRun, SqlTag
    from sqlalchemy import any_, literal, select  # type: ignore[import-not-found]  # only the image has it
    from sqlalchemy.dialects.postgresql import ARRAY, VARCHAR  # type: ignore[import-not-found]  # the same
    from sqlalchemy.orm import object_session  # type: ignore[import-not-found]  # the same
    from sqlalchemy.orm.attributes import set_committed_value  # type: ignore[import-not-found]  # the same

    session = object_session(run)
    runs = [each for each in session.identity_map.values() if isinstance(each, SqlRun)]
    # One parameter: a list of a hundred is taken apart, planned and cached anew for every length.
    ids = literal([each.run_uuid for each in runs], ARRAY(VARCHAR))
    for attribute, table in (("latest_metrics", SqlLatestMetric), ("params", SqlParam), ("tags", SqlTag)):
        found: defaultdict[str, list[_Detail]] = defaultdict(list)
        for row in session.execute(select(*table.__table__.columns).where(table.run_uuid == any_(ids))):
            found[row.run_uuid].append(_Detail(table, row))
        for each in runs:
            set_committed_value(each, attribute, found[each.run_uuid])

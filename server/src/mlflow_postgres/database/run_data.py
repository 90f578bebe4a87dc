"""The metrics, parameters and tags of the runs that a request reads, asked for at once and not made into objects: an
object of SQLAlchemy's for each costs more than everything else that a search does.

Who needs values gets rows. An answer over HTTP gets the JSON that PostgreSQL makes of them (`run_json.py`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple

from . import run_json

_reading: ContextVar[_Runs | None] = ContextVar("reading", default=None)
"""While runs are read for one request, all of them in one session."""


class _Runs:
    """What is known of them beside their own rows."""

    unlinked = False
    """Whether none of them has an input or an output."""


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
    options, entity = store._get_eager_run_query_options, table_of_runs.to_mlflow_entity

    def _get_eager_run_query_options() -> Any:
        return [] if _reading.get() else options()

    def to_mlflow_entity(run: Any) -> Any:
        runs = _reading.get()
        if runs and "params" not in run.__dict__:
            _read(run, runs)
        return entity(run)

    store._get_eager_run_query_options = staticmethod(_get_eager_run_query_options)
    table_of_runs.to_mlflow_entity = to_mlflow_entity
    for name in ("_search_runs", "get_run"):
        setattr(store, name, _as_reading(getattr(store, name)))
    _skip_links(store)


def _as_reading(original: Callable[..., Any]) -> Callable[..., Any]:
    def read(*arguments: Any, **named: Any) -> Any:
        token = _reading.set(_Runs())
        try:
            return original(*arguments, **named)
        finally:
            _reading.reset(token)

    return read


def _skip_links(store: Any) -> None:
    """Ask for no inputs and outputs where it is known that there are none."""
    inputs, outputs = store._get_run_inputs, store._get_model_outputs_bulk
    inputs_of_one, outputs_of_one = store._get_model_inputs, store._get_model_outputs

    def unlinked() -> bool:
        runs = _reading.get()
        return runs is not None and runs.unlinked

    def _get_run_inputs(self: Any, session: Any, run_uuids: Sequence[str]) -> Any:
        return [[] for _ in run_uuids] if unlinked() else inputs(self, session, run_uuids)

    def _get_model_outputs_bulk(self: Any, run_ids: Sequence[str], session: Any) -> Any:
        return {run_id: [] for run_id in run_ids} if unlinked() else outputs(self, run_ids, session)

    def _get_model_inputs(self: Any, run_id: str, session: Any = None) -> Any:
        return [] if unlinked() else inputs_of_one(self, run_id, session)

    def _get_model_outputs(self: Any, run_id: str, session: Any) -> Any:
        return [] if unlinked() else outputs_of_one(self, run_id, session)

    store._get_run_inputs = _get_run_inputs
    store._get_model_outputs_bulk = _get_model_outputs_bulk
    store._get_model_inputs = _get_model_inputs
    store._get_model_outputs = _get_model_outputs


def _read(run: Any, known: _Runs) -> None:
    """Give every run of this one's session its details, or what stands for them."""
    from mlflow.store.tracking.dbmodels.models import SqlRun
    from sqlalchemy.orm import object_session
    from sqlalchemy.orm.attributes import set_committed_value

    session: Any = object_session(run)
    runs: list[Any] = [each for each in session.identity_map.values() if isinstance(each, SqlRun)]
    ids = [each.run_uuid for each in runs]
    # MLflow looks for a missing name among the tags.
    if run_json.are_wanted() and all(each.name for each in runs):
        known.unlinked = run_json.read(session, ids)
        found = {}
    else:
        found = _rows(session, ids)
    for each in runs:
        for attribute in ("latest_metrics", "params", "tags"):
            set_committed_value(each, attribute, found.get((attribute, each.run_uuid), []))


def _rows(session: Any, run_ids: list[str]) -> dict[tuple[str, str], list[_Detail]]:
    """The details, by attribute and run, in three queries."""
    from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlParam, SqlTag
    from sqlalchemy import any_, literal, select
    from sqlalchemy.dialects.postgresql import ARRAY, VARCHAR

    # One parameter: a list of a hundred is taken apart, planned and cached anew for every length.
    ids = literal(run_ids, ARRAY(VARCHAR))
    found: defaultdict[tuple[str, str], list[_Detail]] = defaultdict(list)
    for attribute, table in (("latest_metrics", SqlLatestMetric), ("params", SqlParam), ("tags", SqlTag)):
        for row in session.execute(select(*table.__table__.columns).where(table.run_uuid == any_(ids))):
            found[attribute, row.run_uuid].append(_Detail(table, row))
    return found

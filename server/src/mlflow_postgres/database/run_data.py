"""The metrics, parameters and tags of the runs that a request reads, asked for at once and not made into objects: an
object of SQLAlchemy's for each costs more than everything else that a search does.

Who needs values gets rows. An answer over HTTP gets the JSON that PostgreSQL makes of them (`run_json.py`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import NamedTuple, ParamSpec, TypeVar

from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlParam, SqlRun, SqlTag
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from sqlalchemy import Row, any_, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, VARCHAR
from sqlalchemy.orm import Session, object_session
from sqlalchemy.orm.attributes import set_committed_value

from ..replacement import replace
from . import run_json

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")

_reading: ContextVar[_Runs | None] = ContextVar("reading", default=None)
"""While runs are read for one request, all of them in one session."""


class _Runs:
    """What is known of them beside their own rows."""

    unlinked = False
    """Whether none of them has an input or an output."""


class _Detail(NamedTuple):
    """A row that gives what the object of its table would give."""

    table: type[SqlLatestMetric | SqlParam | SqlTag]
    row: Row[tuple[object, ...]]

    def to_mlflow_entity(self) -> object:
        entity: Callable[..., object] = self.table.to_mlflow_entity
        return entity(self.row)


def install() -> None:
    options: Callable[[], object] = SqlAlchemyStore._get_eager_run_query_options
    entity: Callable[[SqlRun], object] = SqlRun.to_mlflow_entity

    def _get_eager_run_query_options() -> object:
        return [] if _reading.get() else options()

    def to_mlflow_entity(run: SqlRun) -> object:
        runs = _reading.get()
        if runs and "params" not in run.__dict__:
            _read(run, runs)
        return entity(run)

    replace(SqlAlchemyStore, _get_eager_run_query_options=staticmethod(_get_eager_run_query_options))
    replace(SqlRun, to_mlflow_entity=to_mlflow_entity)
    for name in ("_search_runs", "get_run"):
        setattr(SqlAlchemyStore, name, _as_reading(getattr(SqlAlchemyStore, name)))
    _skip_links(SqlAlchemyStore)


def _as_reading(original: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    def read(*arguments: _Parameters.args, **named: _Parameters.kwargs) -> _Result:
        token = _reading.set(_Runs())
        try:
            return original(*arguments, **named)
        finally:
            _reading.reset(token)

    return read


def _skip_links(store: type[SqlAlchemyStore]) -> None:
    """Ask for no inputs and outputs where it is known that there are none."""
    inputs: Callable[..., object] = store._get_run_inputs
    outputs: Callable[..., object] = store._get_model_outputs_bulk
    inputs_of_one: Callable[..., object] = store._get_model_inputs
    outputs_of_one: Callable[..., object] = store._get_model_outputs

    def unlinked() -> bool:
        runs = _reading.get()
        return runs is not None and runs.unlinked

    def _get_run_inputs(self: SqlAlchemyStore, session: Session, run_uuids: Sequence[str]) -> object:
        return [[] for _ in run_uuids] if unlinked() else inputs(self, session, run_uuids)

    def _get_model_outputs_bulk(self: SqlAlchemyStore, run_ids: Sequence[str], session: Session) -> object:
        return {run_id: [] for run_id in run_ids} if unlinked() else outputs(self, run_ids, session)

    def _get_model_inputs(self: SqlAlchemyStore, run_id: str, session: Session | None = None) -> object:
        return [] if unlinked() else inputs_of_one(self, run_id, session)

    def _get_model_outputs(self: SqlAlchemyStore, run_id: str, session: Session) -> object:
        return [] if unlinked() else outputs_of_one(self, run_id, session)

    replace(
        store,
        _get_run_inputs=_get_run_inputs,
        _get_model_outputs_bulk=_get_model_outputs_bulk,
        _get_model_inputs=_get_model_inputs,
        _get_model_outputs=_get_model_outputs,
    )


def _read(run: SqlRun, known: _Runs) -> None:
    """Give every run of this one's session its details, or what stands for them."""
    session = object_session(run)
    assert session is not None, "a run that is being read has a session"
    runs = [each for each in session.identity_map.values() if isinstance(each, SqlRun)]
    ids = [str(each.run_uuid) for each in runs]
    # MLflow looks for a missing name among the tags.
    if run_json.are_wanted() and all(each.name for each in runs):
        known.unlinked = run_json.read(session, ids)
        found = {}
    else:
        found = _rows(session, ids)
    for each in runs:
        for attribute in ("latest_metrics", "params", "tags"):
            set_committed_value(each, attribute, found.get((attribute, str(each.run_uuid)), []))


def _rows(session: Session, run_ids: list[str]) -> dict[tuple[str, str], list[_Detail]]:
    """The details, by attribute and run, in three queries."""
    # One parameter: a list of a hundred is taken apart, planned and cached anew for every length.
    ids = literal(run_ids, ARRAY(VARCHAR))
    found: defaultdict[tuple[str, str], list[_Detail]] = defaultdict(list)
    for attribute, table in (("latest_metrics", SqlLatestMetric), ("params", SqlParam), ("tags", SqlTag)):
        for row in session.execute(select(*table.__table__.columns).where(table.run_uuid == any_(ids))):
            found[attribute, row.run_uuid].append(_Detail(table, row))
    return found

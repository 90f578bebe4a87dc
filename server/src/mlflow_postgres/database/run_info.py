"""A run's own row, for those who need nothing else of it.

To authorise a call for a run, MLflow reads the run and all that was logged to it, in seven statements, and uses only
the id of its experiment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from mlflow.entities import Run, RunData, RunInfo
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from ..replacement import replace

_alone: ContextVar[bool] = ContextVar("alone", default=False)


def install() -> None:
    original: Callable[[SqlAlchemyStore, str], Run] = SqlAlchemyStore.get_run

    def get_run(self: SqlAlchemyStore, run_id: str) -> Run:
        return _row(self, run_id) if _alone.get() else original(self, run_id)

    replace(SqlAlchemyStore, get_run=get_run)


@contextmanager
def alone() -> Iterator[None]:
    """In this context, the store reads of a run its own row and no data."""
    token = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(token)


def _row(store: SqlAlchemyStore, run_id: str) -> Run:
    with store.ManagedSessionMaker() as session:
        run = store._get_run(session, run_id)
        info = RunInfo(
            run_id=run.run_uuid,
            experiment_id=str(run.experiment_id),
            user_id=run.user_id,
            status=run.status,
            start_time=run.start_time,
            end_time=run.end_time,
            lifecycle_stage=run.lifecycle_stage,
            artifact_uri=run.artifact_uri,
            run_name=run.name,
        )
    return Run(info, RunData())

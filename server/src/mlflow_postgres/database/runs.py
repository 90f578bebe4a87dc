"""A run that is made in two statements and changed in one, where MLflow reads it, its experiment, and all that was
logged to it first, an object for each row.

What is not plain, or not found, is MLflow's to do, or to refuse.
"""

from __future__ import annotations

import importlib
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import sqlalchemy
from mlflow.entities import LifecycleStage, Run, RunData, RunInfo, RunInputs, RunStatus, RunTag
from mlflow.store.tracking.dbmodels.models import SqlRun
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from ..replacement import replace

_PLACE = """
SELECT artifact_location FROM experiments WHERE experiment_id = :experiment_id AND lifecycle_stage = 'active'
"""
_MAKE = """
WITH run AS (
  INSERT INTO runs (run_uuid, experiment_id, name, user_id, start_time, artifact_uri, status, lifecycle_stage,
                    source_type, source_name, source_version, entry_point_name)
  VALUES (:run_id, :experiment_id, :run_name, :user_id, :start_time, :artifact_uri, :status, :lifecycle_stage,
          'UNKNOWN', '', '', '')
)
INSERT INTO tags (run_uuid, key, value)
SELECT :run_id, key, value FROM unnest(CAST(:keys AS varchar[]), CAST(:texts AS varchar[])) AS new (key, value)
"""
_NAME = "mlflow.runName"


def install() -> None:
    module = importlib.import_module("mlflow.store.tracking.sqlalchemy_store")
    store = module.SqlAlchemyStore
    create: Callable[..., Run] = store.create_run
    update: Callable[..., RunInfo] = store.update_run_info

    # A store of another kind, such as one with workspaces, has a say in which runs and experiments there are.
    def create_run(
        self: SqlAlchemyStore,
        experiment_id: str,
        user_id: str,
        start_time: int | None,
        tags: Sequence[RunTag] | None,
        run_name: str | None,
    ) -> Run:
        name = name_of(run_name, tags or ())
        made = None
        if type(self) is store and name and is_canonical(experiment_id) and start_time is not None:
            with _left_to_mlflow(module.MlflowException):
                made = _made(self, int(experiment_id), user_id, start_time, tags or (), name)
        return made or create(self, experiment_id, user_id, start_time, tags, run_name)

    def update_run_info(
        self: SqlAlchemyStore, run_id: str, run_status: int | None, end_time: int | None, run_name: str | None
    ) -> RunInfo:
        changed = None
        if type(self) is store and not run_name:
            with _left_to_mlflow(module.MlflowException):
                changed = _changed(self, run_id, run_status, end_time)
        return changed or update(self, run_id, run_status, end_time, run_name)

    replace(store, create_run=create_run, update_run_info=update_run_info)


@contextmanager
def _left_to_mlflow(refusal: type[Exception]) -> Iterator[None]:
    """Have MLflow say what is wrong in its words; but not where it may be done already, for the connection ended."""
    try:
        yield
    except refusal as error:
        if getattr(error, "error_code", None) == "TEMPORARILY_UNAVAILABLE":
            raise


def is_canonical(experiment_id: object) -> bool:
    """Whether an id is written as MLflow writes it: who may use an experiment is looked up by the text."""
    return re.fullmatch("0|[1-9][0-9]*", str(experiment_id)) is not None


def name_of(run_name: str | None, tags: Sequence[RunTag]) -> str | None:
    """The name that a run gets; nothing where MLflow has to find one, or to refuse what was asked."""
    values = {tag.key: tag.value for tag in tags}
    name = values.get(_NAME, run_name)
    return name if name and name == (run_name or name) and len(values) == len(tags) else None


def _made(
    store: SqlAlchemyStore, experiment_id: int, user_id: str, start_time: int, tags: Sequence[RunTag], name: str
) -> Run | None:
    uris = importlib.import_module("mlflow.utils.uri")
    run_id = uuid.uuid4().hex
    texts = {tag.key: tag.value for tag in tags} | {_NAME: name}
    with store.ManagedSessionMaker(read_only=False) as session:
        place = session.execute(sqlalchemy.text(_PLACE), {"experiment_id": experiment_id}).scalar()
        if not place:
            return None
        columns = {
            "run_id": run_id,
            "run_name": name,
            "user_id": user_id,
            "status": "RUNNING",
            "start_time": start_time,
            "lifecycle_stage": LifecycleStage.ACTIVE,
            "artifact_uri": uris.append_to_uri_path(place, run_id, store.ARTIFACTS_FOLDER_NAME),
        }
        values = {**columns, "experiment_id": experiment_id, "keys": list(texts), "texts": list(texts.values())}
        session.execute(sqlalchemy.text(_MAKE), values)
    info = RunInfo(**columns, experiment_id=str(experiment_id), end_time=None)
    return Run(info, RunData(tags=[RunTag(*each) for each in texts.items()]), RunInputs(dataset_inputs=[]))


def _changed(store: SqlAlchemyStore, run_id: str, run_status: int | None, end_time: int | None) -> RunInfo | None:
    """What is known of an active run after the change; nothing if there is none."""
    if run_status not in (None, *RunStatus.all_status()):
        return None
    values: dict[str, object] = {} if run_status is None else {"status": RunStatus.to_string(run_status)}
    values |= {} if end_time is None else {"end_time": end_time}
    if not values:
        return None
    table = SqlRun
    # MLflow looks for a missing name among the tags.
    known = (table.run_uuid == run_id, table.lifecycle_stage == LifecycleStage.ACTIVE, table.name != "")
    change = sqlalchemy.update(table).where(*known).values(values).returning(*table.__table__.columns)
    with store.ManagedSessionMaker(read_only=False) as session:
        row = session.execute(change, execution_options={"synchronize_session": False}).one_or_none()
    return row and RunInfo(
        run_id=row.run_uuid,
        run_name=row.name,
        experiment_id=str(row.experiment_id),
        user_id=row.user_id,
        status=row.status,
        start_time=row.start_time,
        end_time=row.end_time,
        lifecycle_stage=row.lifecycle_stage,
        artifact_uri=row.artifact_uri,
    )

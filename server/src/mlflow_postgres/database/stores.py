"""MLflow's stores of runs and of models, in which two clients may write one new row at once (`merges.py`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.store.model_registry import sqlalchemy_store as registry
from mlflow.store.tracking import sqlalchemy_store as tracking

from . import characters, merges

ASKED_AGAIN = (
    "add_dataset_to_experiments",
    "link_prompts_to_trace",
    "link_traces_to_run",
    "log_inputs",
    "record_logged_model",
    "register_scorer",
    "set_dataset_tags",
    "upsert_dataset_records",
    "upsert_online_scoring_config",
)
"""Methods of the tracking store that look for a row and then add it. MLflow itself asks some others again."""


# MLflow has no types here. mypy takes a call by `super()` for one of our own, so its setting for MLflow does not apply.


class Tracking(tracking.SqlAlchemyStore):
    known_run: ClassVar[Callable[[str], Run | None] | None] = None
    """Finds a run that was already read for the request (`rest/stores.py`)."""

    def __init__(self, db_uri: str, default_artifact_root: str) -> None:
        super().__init__(db_uri, default_artifact_root)  # type: ignore[no-untyped-call]  # see above
        self.ManagedSessionMaker = merges.session_maker(self.engine, self.db_type)

    def log_batch(
        self, run_id: str, metrics: Sequence[Metric], params: Sequence[Param], tags: Sequence[RunTag]
    ) -> None:
        super().log_batch(run_id, metrics, [kept(param) for param in params], tags)  # type: ignore[no-untyped-call]  # see above

    def get_run(self, run_id: str) -> Run:
        find = type(self).known_run
        if find and (known := find(run_id)):
            return known
        run: Run = super().get_run(run_id)  # type: ignore[no-untyped-call]  # see above
        return run


class Registry(registry.SqlAlchemyStore):
    def __init__(self, db_uri: str) -> None:
        super().__init__(db_uri)  # type: ignore[no-untyped-call]  # see above
        self.ManagedSessionMaker = merges.session_maker(self.engine, self.db_type)


merges.ask_again(Tracking, ASKED_AGAIN)


def kept(param: Param) -> Param:
    """The parameter as the database stores it: MLflow compares it with the stored value, if it is logged again."""
    if not isinstance(param.value, str) or characters.is_storable(param.value):
        return param
    return type(param)(param.key, characters.storable(param.value))

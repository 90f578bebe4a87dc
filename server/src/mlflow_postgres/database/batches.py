"""A parameter that is logged once more, compared with what the database holds of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mlflow.entities import Metric, Param, RunTag
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from ..replacement import replace
from . import characters


def install() -> None:
    original: Callable[..., object] = SqlAlchemyStore.log_batch

    def log_batch(
        self: SqlAlchemyStore,
        run_id: str,
        metrics: Sequence[Metric],
        params: Sequence[Param],
        tags: Sequence[RunTag],
    ) -> object:
        return original(self, run_id, metrics, [kept(param) for param in params], tags)

    replace(SqlAlchemyStore, log_batch=log_batch)


def kept(param: Param) -> Param:
    """The parameter as the database stores it. MLflow compares it with the stored value."""
    if not isinstance(param.value, str) or characters.is_storable(param.value):
        return param
    return type(param)(param.key, characters.storable(param.value))

"""MLflow's stores of users and of runs. While MLflow authorises a request, they answer from its snapshot."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Never

from mlflow.server.auth.entities import User
from mlflow.server.auth.sqlalchemy_store import RoleGrantRow, SqlAlchemyStore
from mlflow.utils.workspace_utils import DEFAULT_WORKSPACE_NAME

from ..database.merges import asked_again
from ..database.stores import Tracking
from ..replacement import replace
from . import snapshots

# No module may import this one at its top: MLflow's sign-in reads its secrets when it is imported.


class Users(SqlAlchemyStore):
    """MLflow's own, which asks the database for whatever the snapshot has not."""

    grant_user_permission = asked_again(SqlAlchemyStore.grant_user_permission)
    grant_user_resource_permission = asked_again(SqlAlchemyStore.grant_user_resource_permission)
    set_workspace_permission = asked_again(SqlAlchemyStore.set_workspace_permission)

    def get_user(self, username: str) -> User:
        snapshot = snapshots.current()
        if snapshot is None or username != snapshot.username:
            return super().get_user(username)
        return User(snapshot.user_id, username, snapshot.password_hash, snapshot.is_admin)

    def list_grants(self, user_id: int, workspace: str, resource_types: Collection[str]) -> list[RoleGrantRow]:
        snapshot = snapshots.current()
        grants = snapshot.grants if snapshot and user_id == snapshot.user_id else None
        if grants is None or workspace != DEFAULT_WORKSPACE_NAME or not snapshots.TYPES.issuperset(resource_types):
            return super().list_grants(user_id, workspace, resource_types)
        types = {*resource_types, "workspace"}
        return [RoleGrantRow(*grant) for grant in grants if grant.resource_type in types]


@dataclass(frozen=True)
class _Info:
    """All that MLflow wants to know of a run, to authorise a call for it."""

    experiment_id: str

    def __getattr__(self, name: str) -> Never:
        raise snapshots.AsksDatabase


@dataclass(frozen=True)
class _Run:
    info: _Info

    def __getattr__(self, name: str) -> Never:
        raise snapshots.AsksDatabase


def install(auth: ModuleType) -> None:
    """`auth` is `mlflow.server.auth`, before it makes its application."""
    replace(auth, store=Users())
    Tracking.known_run = _known_run


def _known_run(run_id: str) -> Any:
    snapshot = snapshots.current()
    if snapshot is None or run_id != snapshot.run_id:
        return None
    return _Run(_Info(snapshot.experiment_id))

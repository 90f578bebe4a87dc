"""What the database says of the sender of a request, and of the run that it names: all in one statement.

MLflow's code that authorises the request then asks no more statements, so it needs no thread. A snapshot is of one
request. Nothing of it is kept for the next one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, LiteralString, NamedTuple

import msgspec
from mlflow.utils.workspace_utils import DEFAULT_WORKSPACE_NAME
from sqlalchemy import event
from sqlalchemy.orm import Session

from . import arrays
from .database import Database
from .errors import NotServed

TYPES: Final = frozenset({"workspace", "experiment", "run", "logged_model", "trace", "assessment"})
"""Types of the resources whose grants are read. A user may have thousands of others."""

_READ: Final[LiteralString] = """
SELECT id, password_hash, is_admin, CASE WHEN is_admin THEN NULL ELSE (
         SELECT coalesce(json_agg(json_build_array(resource_type, resource_pattern, permission)), '[]')
           FROM user_role_assignments AS assignment
           JOIN roles AS role ON role.id = assignment.role_id
           JOIN role_permissions AS granted ON granted.role_id = role.id
          WHERE assignment.user_id = sender.id AND role.workspace = %(workspace)s::varchar
            AND resource_type = ANY(%(types)s::varchar[])
       ) END,
       (SELECT experiment_id FROM runs WHERE run_uuid = %(run_id)s::varchar)
  FROM users AS sender WHERE username = %(username)s::varchar
"""
_TYPES: Final = arrays.of_texts(sorted(TYPES))


class Grant(NamedTuple):
    """A permission of a role that the sender has."""

    resource_type: str
    resource_pattern: str
    permission: str


_grants = msgspec.json.Decoder(list[Grant]).decode


@dataclass(frozen=True)
class Snapshot:
    """A sender who exists, and a run that exists or none."""

    username: str
    user_id: int
    password_hash: str
    is_admin: bool
    grants_json: bytes
    """Empty for an administrator, whose permissions are not read."""
    run_id: str | None
    experiment_id: str
    """The run's."""

    @property
    def grants(self) -> list[Grant] | None:
        """The permissions on resources of `TYPES`."""
        return _grants(self.grants_json) if self.grants_json else None

    @property
    def rights(self) -> Hashable:
        """All that MLflow decides by, except for what the request itself contains."""
        return self.username, self.user_id, self.is_admin, hashlib.sha256(self.grants_json).digest()


class AsksDatabase(BaseException):
    """More is asked than the snapshot answers. MLflow's code catches every `Exception`, and would call it an error."""


_current: ContextVar[Snapshot | None] = ContextVar("current", default=None)


async def read(database: Database, username: str, run_id: str | None) -> Snapshot:
    """Raises `NotServed` if the database knows no such user or run."""
    values = {"username": username, "run_id": run_id, "workspace": DEFAULT_WORKSPACE_NAME, "types": _TYPES}
    rows = await database.read(_READ, values)
    if not rows:
        raise NotServed
    ((user_id, password_hash, is_admin, grants, experiment_id),) = rows
    if run_id is not None and not experiment_id:
        raise NotServed
    return Snapshot(
        username=username,
        user_id=int(user_id),
        password_hash=password_hash.decode(),
        is_admin=is_admin == b"t",
        grants_json=grants,
        run_id=run_id,
        experiment_id=experiment_id.decode(),
    )


def current() -> Snapshot | None:
    return _current.get()


@contextmanager
def alone(snapshot: Snapshot) -> Iterator[None]:
    """In this context, stores answer from the snapshot. Raises `AsksDatabase` if that is not enough."""
    token = _current.set(snapshot)
    try:
        yield
    finally:
        _current.reset(token)


@event.listens_for(Session, "after_transaction_create")
def _refuse(*_: object) -> None:
    """A statement would stop the event loop, and with it every other request. None has been sent yet."""
    if _current.get() is not None:
        raise AsksDatabase

"""A row that two clients write at once is there once, and both succeed.

MLflow's `session.merge` looks for a row, and inserts it when there is none. Of two clients that set one new tag,
neither sees the other's row, and PostgreSQL refuses the second. Here the row is inserted first, unless it is there; the
second client waits for the first, finds the row, and updates it.

Other methods look for a row and add it by themselves. Each is one transaction: refused because the row is there now, it
is undone, and asked once more it finds the row.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, ParamSpec, TypeVar

from mlflow.exceptions import MlflowException
from mlflow.store.db import utils
from psycopg.errors import UniqueViolation
from sqlalchemy import Engine, inspect
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from . import names

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")
_Instance = TypeVar("_Instance")

_MOST = 10
"""Times that one is asked; each time, another client was the first."""


class MergingSession(Session):
    """For SQLAlchemy's `sessionmaker(class_=…)`."""

    def merge(self, instance: _Instance, **options: Any) -> _Instance:
        # What the row refers to may only wait to be written.
        self.flush()
        for each in _with_children(instance):
            self._insert_where_missing(each)
        return super().merge(instance, **options)

    def _insert_where_missing(self, instance: object) -> None:
        state = inspect(instance)
        mapper = state.mapper
        key = mapper.primary_key_from_instance(instance)
        if None in key or mapper.identity_key_from_primary_key(key) in self.identity_map:
            return
        names.refuse_unstorable(mapper, None, instance)
        values = {each.columns[0]: state.dict[each.key] for each in mapper.column_attrs if each.key in state.dict}
        self.execute(insert(mapper.local_table).values(values).on_conflict_do_nothing())


def _with_children(instance: object) -> Iterator[object]:
    """What SQLAlchemy merges along with it, each after what it belongs to."""
    yield instance
    state = inspect(instance)
    for relationship in state.mapper.relationships:
        found = state.dict.get(relationship.key)
        if found is not None and relationship.cascade.merge and relationship.direction.name == "ONETOMANY":
            for child in found if relationship.uselist else [found]:
                yield from _with_children(child)


def session_maker(engine: Engine, db_type: str) -> Callable[..., AbstractContextManager[Session]]:
    """MLflow's maker of sessions, with sessions that merge so."""
    sessions = sessionmaker(bind=engine, class_=MergingSession)
    make: Callable[..., AbstractContextManager[Session]]
    make = utils._get_managed_session_maker(sessions, db_type)
    return make


def ask_again(store: type, names: Iterable[str]) -> None:
    """Have methods of a subclass of a store called once more where another client was first."""
    for name in names:
        # Older versions do not have all of them.
        if method := getattr(store, name, None):
            setattr(store, name, asked_again(method))


def asked_again(method: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """The method, which is called once more when another client was first with a row of its."""

    @functools.wraps(method)
    def ask(*arguments: _Parameters.args, **named: _Parameters.kwargs) -> _Result:
        for _ in range(_MOST - 1):
            try:
                return method(*arguments, **named)
            except MlflowException as error:
                # What MLflow itself has put into words has another code.
                if error.error_code != "BAD_REQUEST" or not _was_there(error.__cause__):
                    raise
        return method(*arguments, **named)

    return ask


def _was_there(error: BaseException | None) -> bool:
    return isinstance(error, IntegrityError) and isinstance(error.orig, UniqueViolation)

"""Fewer round trips to PostgreSQL around what a request asks for.

What only reads needs no transaction: at PostgreSQL's default level each statement sees what is committed when it
begins, in a transaction or out of it. That leaves out a BEGIN and a COMMIT. And a connection that has said nothing
since it was last used has not been closed by the other side: no statement is needed to find that out.
"""

from __future__ import annotations

import importlib
import select
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def install() -> None:
    utils: Any = importlib.import_module("mlflow.store.db.utils")
    registry: Any = importlib.import_module("mlflow.store.model_registry.sqlalchemy_store")
    rollups: Any = importlib.import_module("mlflow.environment_variables").MLFLOW_SQL_TRACE_ROLLUPS_ENABLED
    make, create = utils._get_managed_session_maker, utils.create_sqlalchemy_engine

    def _get_managed_session_maker(session_maker: Any, db_type: str) -> Any:
        managed = make(session_maker, db_type)
        if db_type != "postgresql":
            return managed

        @contextmanager
        def make_managed_session(read_only: bool = True) -> Iterator[Any]:
            with managed(read_only=read_only) as session:
                # With them, MLflow reads in a transaction of its own kind, and may not find one begun already.
                if read_only and not rollups.get():
                    session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
                yield session

        return make_managed_session

    def create_sqlalchemy_engine(db_uri: str) -> Any:
        engine = create(db_uri)
        if engine.dialect.name == "postgresql":
            _listen_before_asking(engine.dialect)
        return engine

    utils._get_managed_session_maker = _get_managed_session_maker
    # It has a name of its own for it.
    registry._get_managed_session_maker = _get_managed_session_maker
    utils.create_sqlalchemy_engine = create_sqlalchemy_engine


def _listen_before_asking(dialect: Any) -> None:
    ping = dialect.do_ping

    def do_ping(connection: Any) -> bool:
        return is_silent(connection.fileno()) or ping(connection)

    dialect.do_ping = do_ping


def is_silent(descriptor: int) -> bool:
    """Whether nothing has come in through a connection: neither its end nor a word that nobody has read yet."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return not poll.poll(0)

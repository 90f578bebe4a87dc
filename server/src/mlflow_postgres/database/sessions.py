"""Fewer round trips to PostgreSQL around what a request asks for.

What only reads needs no transaction: at PostgreSQL's default level each statement sees what is committed when it
begins, in a transaction or out of it. That leaves out a BEGIN and a COMMIT. And a connection that has said nothing
since it was last used has not been closed by the other side: no statement is needed to find that out.
"""

from __future__ import annotations

import importlib
import select
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from psycopg import Connection
from sqlalchemy import Dialect, Engine
from sqlalchemy.orm import Session, sessionmaker

from ..replacement import replace

Managed = Callable[..., AbstractContextManager[Session]]
"""MLflow's maker of sessions; it takes `read_only`."""


def install() -> None:
    utils = importlib.import_module("mlflow.store.db.utils")
    registry = importlib.import_module("mlflow.store.model_registry.sqlalchemy_store")
    rollups = importlib.import_module("mlflow.environment_variables").MLFLOW_SQL_TRACE_ROLLUPS_ENABLED
    make, create = utils._get_managed_session_maker, utils.create_sqlalchemy_engine

    def _get_managed_session_maker(session_maker: sessionmaker[Session], db_type: str) -> Managed:
        managed: Managed = make(session_maker, db_type)
        if db_type != "postgresql":
            return managed

        @contextmanager
        def make_managed_session(read_only: bool = True) -> Iterator[Session]:
            with managed(read_only=read_only) as session:
                # With them, MLflow reads in a transaction of its own kind, and may not find one begun already.
                if read_only and not rollups.get():
                    session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
                yield session

        return make_managed_session

    def create_sqlalchemy_engine(db_uri: str) -> Engine:
        engine: Engine = create(db_uri)
        if engine.dialect.name == "postgresql":
            _listen_before_asking(engine.dialect)
        return engine

    replace(utils, _get_managed_session_maker=_get_managed_session_maker)
    # It has a name of its own for it.
    replace(registry, _get_managed_session_maker=_get_managed_session_maker)
    replace(utils, create_sqlalchemy_engine=create_sqlalchemy_engine)


def _listen_before_asking(dialect: Dialect) -> None:
    ping: Callable[..., bool] = dialect.do_ping

    def do_ping(connection: Connection) -> bool:
        return is_silent(connection.fileno()) or ping(connection)

    replace(dialect, do_ping=do_ping)


def is_silent(descriptor: int) -> bool:
    """Whether nothing has come in through a connection: neither its end nor a word that nobody has read yet."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return not poll.poll(0)

"""Who only reads has no transaction, and a connection that said nothing is not asked whether it is there."""

from __future__ import annotations

import importlib
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from mlflow_postgres.database import sessions
from mlflow_postgres.database.sessions import is_silent

Ends = tuple[socket.socket, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.mark.parametrize(
    ("happens", "silent"),
    [
        (lambda _: None, True),
        (lambda theirs: theirs.send(b"a notice"), False),
        (lambda theirs: theirs.shutdown(socket.SHUT_WR), False),
        (lambda theirs: theirs.close(), False),
    ],
    ids=["nothing", "something unread", "the end of what is said", "closed"],
)
def test_a_connection_is_silent_where_neither_a_word_nor_its_end_came_in(
    ends: Ends, happens: Callable[[socket.socket], object], silent: bool
) -> None:
    ours, theirs = ends
    happens(theirs)
    assert is_silent(ours.fileno()) is silent


def test_a_connection_is_silent_again_when_all_of_it_is_read(ends: Ends) -> None:
    ours, theirs = ends
    theirs.send(b"ab")
    ours.recv(1)
    assert not is_silent(ours.fileno())
    ours.recv(1)
    assert is_silent(ours.fileno())


class Session:
    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.ended: list[str] = []
        self.read_only: bool | None = None

    def connection(self, **options: Any) -> None:
        self.asked.append(options)


@contextmanager
def ended(session: Session) -> Iterator[Session]:
    try:
        yield session
        session.ended.append("committed")
    except ValueError:
        session.ended.append("rolled back")
        raise


def managed_session_maker(session_maker: Callable[[], Session], _: str) -> Any:
    @contextmanager
    def make_managed_session(read_only: bool = True) -> Iterator[Session]:
        session = session_maker()
        session.read_only = read_only
        with ended(session):
            yield session

    return make_managed_session


def engine(db_uri: str) -> Any:
    asked: list[Any] = []

    def do_ping(connection: Any) -> bool:
        asked.append(connection)
        return False

    return SimpleNamespace(dialect=SimpleNamespace(name=db_uri.partition(":")[0], do_ping=do_ping), asked=asked)


class Stores(SimpleNamespace):
    """Stand-ins for the two modules of MLflow in which something is replaced; they need SQLAlchemy."""

    utils: Any
    registry: Any
    rollups: bool


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> Stores:
    utils = SimpleNamespace(
        _get_managed_session_maker=managed_session_maker,
        create_sqlalchemy_engine=engine,
    )
    registry = SimpleNamespace(_get_managed_session_maker=managed_session_maker)
    stores = Stores(utils=utils, registry=registry, rollups=False)
    modules = {
        "mlflow.store.db.utils": utils,
        "mlflow.store.model_registry.sqlalchemy_store": registry,
        "mlflow.environment_variables": SimpleNamespace(
            MLFLOW_SQL_TRACE_ROLLUPS_ENABLED=SimpleNamespace(get=lambda: stores.rollups)
        ),
    }
    monkeypatch.setattr(importlib, "import_module", modules.__getitem__)
    sessions.install()
    return stores


NO_TRANSACTION = {"execution_options": {"isolation_level": "AUTOCOMMIT"}}


@pytest.mark.parametrize(
    ("database", "how", "read_only", "asked"),
    [
        ("postgresql", {}, True, [NO_TRANSACTION]),
        ("postgresql", {"read_only": True}, True, [NO_TRANSACTION]),
        ("postgresql", {"read_only": False}, False, []),
        ("sqlite", {}, True, []),
        ("sqlite", {"read_only": False}, False, []),
        ("mysql", {"read_only": True}, True, []),
    ],
    ids=["by default", "reading", "writing", "SQLite", "writing to SQLite", "MySQL"],
)
@pytest.mark.parametrize("module", ["utils", "registry"])
def test_only_who_reads_from_postgresql_has_no_transaction(
    stores: Stores, module: str, database: str, how: dict[str, bool], read_only: bool, asked: list[dict[str, Any]]
) -> None:
    maker = getattr(stores, module)._get_managed_session_maker(Session, database)
    with maker(**how) as session:
        assert session.asked == asked
        assert session.read_only is read_only
        assert session.ended == []
    assert session.ended == ["committed"]
    assert session.asked == asked


def test_where_mlflow_reads_in_a_snapshot_of_its_own_no_connection_is_begun(stores: Stores) -> None:
    stores.rollups = True
    with stores.utils._get_managed_session_maker(Session, "postgresql")() as session:
        assert session.asked == []


@pytest.mark.parametrize("read_only", [True, False])
def test_what_goes_wrong_in_a_session_ends_it_as_ever(stores: Stores, read_only: bool) -> None:
    session = Session()
    maker = stores.utils._get_managed_session_maker(lambda: session, "postgresql")
    with pytest.raises(ValueError, match="wrong"), maker(read_only=read_only):
        raise ValueError("wrong")
    assert session.ended == ["rolled back"]


def test_a_silent_connection_is_taken_for_granted_and_another_is_asked(stores: Stores, ends: Ends) -> None:
    ours, theirs = ends
    made = stores.utils.create_sqlalchemy_engine("postgresql://mlflow@postgres/mlflow")
    assert made.dialect.do_ping(ours) is True
    assert made.asked == []
    theirs.close()
    assert made.dialect.do_ping(ours) is False
    assert made.asked == [ours]


def test_a_connection_to_another_database_is_always_asked(stores: Stores, ends: Ends) -> None:
    ours, _ = ends
    made = stores.utils.create_sqlalchemy_engine("sqlite:///mlflow.db")
    assert made.dialect.do_ping(ours) is False
    assert made.asked == [ours]

"""One new row of two clients: inserted first where it is missing, and looked for again where another was first."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy
from mlflow.exceptions import MlflowException
from psycopg.errors import NotNullViolation, UniqueViolation
from sqlalchemy import ForeignKey, String, event
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, sessionmaker

from mlflow_postgres.database import merges


class Base(DeclarativeBase):
    pass


class Run(Base):
    __tablename__ = "runs"
    run_uuid: Mapped[str] = mapped_column(String(32), primary_key=True)
    status: Mapped[str] = mapped_column(String(32), default="RUNNING")
    tags: Mapped[list[Tag]] = relationship(back_populates="run", cascade="all")


class Tag(Base):
    __tablename__ = "tags"
    key: Mapped[str] = mapped_column(String(32), primary_key=True)
    run_uuid: Mapped[str] = mapped_column(ForeignKey("runs.run_uuid"), primary_key=True)
    value: Mapped[str] = mapped_column(String(32), default="")
    run: Mapped[Run] = relationship(back_populates="tags")


@pytest.fixture
def engine() -> Iterator[sqlalchemy.Engine]:
    """SQLite's ON CONFLICT is PostgreSQL's."""
    made = sqlalchemy.create_engine("sqlite://", poolclass=sqlalchemy.StaticPool)
    Base.metadata.create_all(made)
    yield made
    made.dispose()


@pytest.fixture
def session(engine: sqlalchemy.Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    monkeypatch.setattr(merges, "insert", importlib.import_module("sqlalchemy.dialects.sqlite").insert)
    with sessionmaker(engine, class_=merges.MergingSession)() as made:
        made.add(Run(run_uuid="r"))
        made.commit()
        yield made


def values(session: Session) -> dict[str, str]:
    return {tag.key: tag.value for tag in session.query(Tag)}


def test_a_new_row_is_written_and_one_that_is_there_is_changed(session: Session) -> None:
    session.merge(Tag(key="a", run_uuid="r", value="1"))
    session.commit()
    session.merge(Tag(key="a", run_uuid="r", value="2"))
    session.commit()
    assert values(session) == {"a": "2"}


def test_a_row_is_inserted_before_it_is_looked_for(session: Session) -> None:
    asked: list[str] = []
    event.listen(session.get_bind(), "before_cursor_execute", lambda *it: asked.append(it[2].split()[0]))
    session.merge(Tag(key="a", run_uuid="r", value="1"))
    session.commit()
    assert asked == ["INSERT", "SELECT"], "as many statements as before for a new row, and the other client's is found"


def test_who_comes_second_changes_the_row_of_the_first(session: Session) -> None:
    session.execute(sqlalchemy.insert(Tag).values(key="a", run_uuid="r", value="of the first"))
    session.merge(Tag(key="a", run_uuid="r", value="of the second"))
    session.commit()
    assert values(session) == {"a": "of the second"}


def test_rows_that_hang_on_it_come_along(session: Session) -> None:
    session.merge(Run(run_uuid="new", tags=[Tag(key="a", run_uuid="new", value="1"), Tag(key="b", value="2")]))
    session.commit()
    assert values(session) == {"a": "1", "b": "2"}


def test_what_waits_to_be_written_is_written_first(session: Session) -> None:
    session.connection().exec_driver_sql("PRAGMA foreign_keys = ON")
    session.add(Run(run_uuid="waits"))
    session.merge(Tag(key="a", run_uuid="waits", value="1"))
    session.commit()
    assert values(session) == {"a": "1"}


def refusal(kind: type[Exception], code: int = 1) -> MlflowException:
    error = MlflowException("refused", error_code=code)
    error.__cause__ = sqlalchemy.exc.IntegrityError("INSERT", {}, kind())
    return error


class Store:
    """A stand-in for MLflow's, with another client that is first so many times."""

    def __init__(self, *refusals: Exception) -> None:
        self.refusals = list(refusals)

    def log_inputs(self, run: str, *, datasets: int) -> str:
        if self.refusals:
            raise self.refusals.pop(0)
        return f"{run} {datasets}"


def store(*refused: Exception) -> Any:
    kind = type("Asked", (Store,), {})
    merges.ask_again(kind, ("log_inputs", "not_there"))
    return kind(*refused)


def test_a_method_is_asked_again_where_another_client_was_first() -> None:
    bad = [refusal(UniqueViolation, error_code("BAD_REQUEST")) for _ in range(9)]
    assert store(*bad).log_inputs("run", datasets=2) == "run 2"


@pytest.mark.parametrize(
    ("refused", "times"),
    [
        ([(UniqueViolation, "BAD_REQUEST")] * 10, 10),
        ([(NotNullViolation, "BAD_REQUEST")], 1),
        ([(UniqueViolation, "RESOURCE_ALREADY_EXISTS")], 1),
    ],
    ids=["for ever", "another refusal", "in MLflow's words"],
)
def test_any_other_refusal_is_the_answer(refused: list[tuple[type[Exception], str]], times: int) -> None:
    asked = store(*[refusal(kind, error_code(code)) for kind, code in refused], *[ValueError("not asked")] * 2)
    with pytest.raises(MlflowException):
        asked.log_inputs("run", datasets=2)
    assert len(asked.refusals) == len(refused) - times + 2


def error_code(name: str) -> int:
    from mlflow.protos.databricks_pb2 import ErrorCode

    return int(ErrorCode.Value(name))

"""What the database says stays in the log; names that it cannot hold are refused by their field."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy
from mlflow.exceptions import MlflowException
from sqlalchemy import String, event
from sqlalchemy.orm import DeclarativeBase, Mapped, Mapper, Session, mapped_column

from mlflow_postgres.database import errors, names
from mlflow_postgres.database.dialect import Dialect

SECRET = "scrypt:32768:8:1$hash"


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    username: Mapped[str] = mapped_column(String(255), primary_key=True)
    password_hash: Mapped[str] = mapped_column(String(255))


class Tag(Base):
    __tablename__ = "tags"
    key: Mapped[str] = mapped_column(String(255), primary_key=True)


@pytest.fixture
def session() -> Iterator[Session]:
    """On a real database, which refuses as PostgreSQL does; what our dialect listens to is listened to."""
    engine = sqlalchemy.create_engine("sqlite://")
    Base.metadata.create_all(engine)
    Dialect.engine_created(engine)
    with Session(engine) as made:
        yield made
    engine.dispose()
    for moment in ("before_insert", "before_update"):
        event.remove(Mapper, moment, names.refuse_unstorable)


def test_a_refusal_says_nothing_but_its_kind_and_where_to_look(
    session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    session.add(User(username="anna", password_hash=SECRET))
    session.commit()
    session.add(User(username="anna", password_hash=SECRET))
    with pytest.raises(sqlalchemy.exc.IntegrityError) as refused:
        session.flush()
    said = str(refused.value)
    assert "IntegrityError" in said, "MLflow finds a deadlock by its name"
    for leak in ("INSERT", "[SQL", "[parameters", SECRET, "sqlalche.me", "UNIQUE"):
        assert leak not in said
    number = said.rstrip(".").rpartition(" ")[2]
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith(f"{number}: IntegrityError: UNIQUE constraint failed: users.username;")
    assert "INSERT INTO users" in record.getMessage()
    assert SECRET not in caplog.text


def test_the_rows_that_postgresql_quotes_are_in_no_traceback() -> None:
    """A traceback is logged with what the driver said, and its detail has the whole row."""

    class NotNullViolation(Exception):
        diag = SimpleNamespace(message_primary='null value in column "x"')

    original = NotNullViolation(f'null value in column "x"\nDETAIL:  Failing row contains (1, {SECRET}).')
    wrapped = sqlalchemy.exc.IntegrityError("INSERT", {"p": SECRET}, original)
    context: Any = SimpleNamespace(original_exception=original, sqlalchemy_exception=wrapped, statement="INSERT")
    errors.keep_to_the_log(context)
    assert str(original) == 'null value in column "x"'
    assert SECRET not in str(wrapped) + repr(wrapped)
    assert wrapped.orig is original, "MLflow looks for its kind"


def test_an_error_that_is_not_the_databases_stays_as_it_is() -> None:
    error = ValueError("of ours")
    context: Any = SimpleNamespace(original_exception=error, sqlalchemy_exception=None, statement=None)
    errors.keep_to_the_log(context)
    assert str(error) == "of ours"


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b"])
def test_a_name_that_postgresql_cannot_hold_is_refused_by_its_field(session: Session, name: str) -> None:
    session.add(User(username=name, password_hash="x"))
    with pytest.raises(MlflowException, match="for parameter 'username'") as refused:
        session.flush()
    assert refused.value.error_code == "INVALID_PARAMETER_VALUE"
    session.rollback()
    user = User(username="anna", password_hash="x")
    session.add(user)
    session.flush()
    user.username = name
    with pytest.raises(MlflowException, match="for parameter 'username'"):
        session.flush()


def test_what_is_only_logged_is_not_refused(session: Session) -> None:
    session.add(Tag(key="a\0b"))
    session.flush()


def test_every_engine_of_the_dialect_listens() -> None:
    heard: list[Any] = []
    engine = sqlalchemy.create_engine("sqlite://")
    Dialect.engine_created(engine)
    Dialect.engine_created(sqlalchemy.create_engine("sqlite://"))
    heard.append(event.contains(engine, "handle_error", errors.keep_to_the_log))
    heard += [event.contains(Mapper, moment, names.refuse_unstorable) for moment in ("before_insert", "before_update")]
    assert heard == [True] * 3

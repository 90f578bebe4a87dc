"""Our dialect of SQLAlchemy's: what PostgreSQL is told of a value's type, and what of it is sent at all."""

from __future__ import annotations

import json
import math
import tomllib
from typing import Any

import pytest
import sqlalchemy
from psycopg.adapt import AdaptersMap, PyFormat, Transformer
from sqlalchemy import JSON, BigInteger, Column, Integer, MetaData, String, Table, Text, func, insert, literal, select
from sqlalchemy.dialects import registry

from mlflow_postgres.database import characters
from mlflow_postgres.database.dialect import Dialect

from . import CHECKOUT

ADDRESS = "postgresql+mlflow://mlflow@postgres/mlflow"

VERSIONS = Table(
    "versions",
    MetaData(),
    Column("name", String(256), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("time", BigInteger),
    Column("note", Text),
    Column("more", JSON),
)


@pytest.fixture(scope="module")
def engine() -> sqlalchemy.Engine:
    """Of our dialect, by its name; nothing is connected to."""
    registry.register("postgresql.mlflow", Dialect.__module__, Dialect.__name__)
    return sqlalchemy.create_engine(ADDRESS)


def text(engine: sqlalchemy.Engine, statement: Any) -> str:
    return str(statement.compile(engine))


def test_the_address_finds_the_dialect_in_the_image() -> None:
    project = tomllib.loads((CHECKOUT / "server" / "pyproject.toml").read_text())["project"]
    points = project["entry-points"]["sqlalchemy.dialects"]
    assert points == {"postgresql.mlflow": f"{Dialect.__module__}:{Dialect.__name__}"}


@pytest.mark.parametrize(
    "condition",
    [
        VERSIONS.c.version != "2",
        VERSIONS.c.version.in_(["1", "2"]),
        VERSIONS.c.version == 99999999999,
        VERSIONS.c.time > 5,
        VERSIONS.c.name == "m",
        VERSIONS.c.note.like("m%"),
        VERSIONS.c.name == VERSIONS.c.note + "m",
    ],
)
def test_what_is_compared_has_no_type_of_its_own(engine: sqlalchemy.Engine, condition: Any) -> None:
    """A text that is said to be a VARCHAR is not compared with an integer, and no INTEGER is beyond 32 bits."""
    assert "::" not in text(engine, select(VERSIONS).where(condition))


def test_what_is_written_has_no_type_of_its_own(engine: sqlalchemy.Engine) -> None:
    row = {"name": "m", "version": "1", "time": "5", "note": "n"}
    assert "::" not in text(engine, insert(VERSIONS).values(row))


def test_an_argument_keeps_its_type_for_some_functions_take_any(engine: sqlalchemy.Engine) -> None:
    said = text(engine, select(func.json_build_object("a", VERSIONS.c.note), literal("b")))
    assert "json_build_object(%(json_build_object_2)s::VARCHAR, " in said
    assert "%(param_1)s AS" in said


def sent(engine: sqlalchemy.Engine, value: Any) -> tuple[int, bytes]:
    """The type that PostgreSQL is told of a value, and the value."""
    adapters: AdaptersMap = engine.dialect.create_connect_args(engine.url)[1]["context"]
    dumper = Transformer(adapters).get_dumper(value, PyFormat.AUTO)
    return dumper.oid, bytes(dumper.dump(value) or b"")


INT4, INT8, NUMERIC, UNKNOWN = 23, 20, 1700, 0


@pytest.mark.parametrize(
    ("value", "type_of_it"),
    [
        (0, INT4),
        (-1, INT4),
        (32_768, INT4),
        (2**31 - 1, INT4),
        (2**31, INT8),
        (-(2**31), INT4),
        (-(2**31) - 1, INT8),
        (2**63, NUMERIC),
        ("2", UNKNOWN),
    ],
)
def test_an_integer_is_as_large_as_it_needs_to_be_and_a_text_is_unknown(
    engine: sqlalchemy.Engine, value: Any, type_of_it: int
) -> None:
    assert sent(engine, value)[0] == type_of_it


@pytest.mark.parametrize(
    ("given", "kept"),
    [("a\0b", "a\ufffdb"), ("\ud800", "\ufffd"), ("\udfff\0", "\ufffd\ufffd"), ("ü𝄞", "ü𝄞"), ("", "")],
)
def test_a_text_is_sent_without_what_postgresql_refuses(engine: sqlalchemy.Engine, given: str, kept: str) -> None:
    assert sent(engine, given)[1].decode() == kept
    assert characters.is_storable(given) == (given == kept)
    # In a list, too, as those of a batch are.
    assert kept in sent(engine, [given, "x"])[1].decode()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"q": math.nan, "r": [math.inf, 1.5, -math.inf]}, {"q": None, "r": [None, 1.5, None]}),
        ({"a\0": "b\0"}, {"a\ufffd": "b\ufffd"}),
        (["\ud800", "𝄞"], ["\ufffd", "𝄞"]),
        ({"path": "C:\\u0000\\ud800"}, {"path": "C:\\u0000\\ud800"}),
        ({1: True, "n": None}, {"1": True, "n": None}),
        ("text", "text"),
    ],
)
def test_json_is_written_without_what_postgresql_refuses(engine: sqlalchemy.Engine, given: Any, kept: Any) -> None:
    write: Any = engine.dialect._json_serializer
    assert json.loads(write(given)) == kept


def test_of_what_a_client_sends_only_halves_of_pairs_are_replaced() -> None:
    given = {"\ud800": ["a\udfffb", "𝄞", "a\0b", math.inf, 1, None, True]}
    assert characters.without_halves(given) == {"\0": ["a\0b", "𝄞", "a\0b", math.inf, 1, None, True]}

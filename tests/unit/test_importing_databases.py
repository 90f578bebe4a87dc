"""A PostgreSQL's address in messages, without its password."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from math import copysign, isnan
from pathlib import Path
from typing import Any

import pytest

from contract.errors import UserError
from mlflow_postgres.importing.tables import Column, Kind
from mlflow_postgres.importing.values import converter
from ops import databases


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("postgresql://u@h/d", True),
        ("postgresql+psycopg2://u@h/d", True),
        ("postgres://h/d", True),
        ("sqlite:///mlflow.db", False),
        ("postgresql", False),
        ("mlruns", False),
    ],
)
def test_a_database_address_is_recognized_by_its_scheme(given: str, expected: bool) -> None:
    assert databases.is_address(given) is expected


def test_a_database_address_is_shown_without_its_password() -> None:
    parameters = databases._parameters("postgresql+psycopg2://anna:p%40ss@host:5433/mlflow?sslmode=require")
    assert (parameters["password"], parameters["sslmode"]) == ("p@ss", "require")
    assert databases._shown(parameters) == "postgresql://anna@host:5433/mlflow"


@pytest.mark.parametrize("password", ["se@cret", "se/cret", "se%cret", "se:cret@more", "1/cret", "se#cret/@"])
def test_an_invalid_password_is_not_shown(password: str) -> None:
    with pytest.raises(UserError) as error:
        databases._parameters(f"postgresql://anna:{password}@host:5432/mlflow")
    assert "such as %40 for @" in str(error.value)
    assert "cret" not in str(error.value)
    assert error.value.__cause__ is None


def test_an_unreachable_database_is_one_line_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        databases.rows_of("postgresql://anna:secret@127.0.0.1:1/mlflow", tmp_path / "new", lambda _: None)
    assert str(error.value).startswith("postgresql://anna@127.0.0.1:1/mlflow was not read: connection")
    assert "nothing was changed. Mend it with: a host and a port that this machine reaches" in str(error.value)
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


def test_floats_that_sqlite_cannot_store_are_imported() -> None:
    convert = converter(Column(name="value", kind=Kind.FLOAT, root=("metrics", "value")))
    floats = [-0.0, 0.0, float("nan"), float("inf"), 1e-300, None]
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE rows (value FLOAT, name)")
        batch = [(value, "x") for value in floats]
        connection.executemany("INSERT INTO rows VALUES (?, ?)", databases._exact(batch, [0]))
        found = [value for (value,) in connection.execute("SELECT value FROM rows ORDER BY rowid")]
    here: list[Any] = [None if value is None else convert(value) for value in found]
    assert copysign(1, here[0]) == -1
    assert copysign(1, here[1]) == 1
    assert isnan(here[2])
    assert here[3:] == floats[3:]

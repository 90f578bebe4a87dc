"""Fixtures: one PostgreSQL server for the session, MLflow's schema in it, and a database of its own for each test."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy
from mlflow.store.db import utils

from mlflow_postgres.migration import tuning

from .imports import in_a_process
from .postgresql import Server, running

TEMPLATE = "mlflow_template"
_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture(scope="session")
def schema(postgresql: Server) -> str:
    """Name of a database with MLflow's schema, made by its own migrations, and our indexes. Copy it."""
    postgresql.create(TEMPLATE)
    engine = sqlalchemy.create_engine(postgresql.store_uri(TEMPLATE))
    utils._initialize_tables(engine)
    engine.dispose()
    with psycopg.connect(postgresql.uri(TEMPLATE), autocommit=True) as connection:
        tuning.tune(connection)
    return TEMPLATE


@pytest.fixture
def database(postgresql: Server, schema: str) -> Iterator[str]:
    """Name of a database with MLflow's schema and no rows of anybody's."""
    name = f"test_{next(_NUMBERS)}"
    postgresql.create(name, schema)
    yield name
    postgresql.drop(name)


@pytest.fixture(scope="module")
def shared_database(postgresql: Server, schema: str) -> Iterator[str]:
    """The same, for all tests of a module."""
    name = f"module_{next(_NUMBERS)}"
    postgresql.create(name, schema)
    yield name
    postgresql.drop(name)


@pytest.fixture(scope="session")
def old_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite store with one of everything, its artifacts beside it. Copy it."""
    folder = tmp_path_factory.mktemp("old")
    in_a_process("import_store", "make", f"sqlite:///{folder}/mlflow.db", "old", folder=folder)
    return folder / "mlflow.db"

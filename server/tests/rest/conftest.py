"""Fixtures: both sides, each on a copy of one database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from mlflow.entities import ExperimentTag
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from ..postgresql import Server
from .sides import Sides

LOCATIONS = {
    "nested": "mlflow-artifacts:/a/b.c/d_e-f",
    "bucket": "s3://bucket/path",
    "slash": "mlflow-artifacts:/x/",
    "query": "s3://bucket/path?version=1",
    "local": "/somewhere/else",
    "relative": "somewhere",
    "file": "file:/somewhere",
    "file host": "file:///somewhere",
    "no path": "s3://bucket",
    "spaces": "mlflow-artifacts:/a b/c",
    "upper": "S3://Bucket/Path",
    "dots": "mlflow-artifacts:/a/../b",
    "long": "mlflow-artifacts:/" + "l" * 160,
}
"""Where the artifacts of an experiment go, by the experiment's name."""


@pytest.fixture(scope="module")
def sides(postgresql: Server, schema: str, request: pytest.FixtureRequest) -> Iterator[Sides]:
    """A module may have a function `fill` that writes into MLflow's store before it is copied."""
    name = request.module.__name__.rpartition(".")[2]
    databases = (f"{name}_mlflow", f"{name}_ours")
    postgresql.create(databases[0], schema)
    make: Any = SqlAlchemyStore
    store = make(postgresql.store_uri(databases[0]), "mlflow-artifacts:/")
    for experiment, location in LOCATIONS.items():
        store.create_experiment(experiment, location, [ExperimentTag("where", location)])
    fill: Callable[[Any], object] | None = getattr(request.module, "fill", None)
    if fill:
        fill(store)
    store._dispose_engine()
    postgresql.create(databases[1], databases[0])
    both = Sides(postgresql, databases)
    yield both
    both.close()
    for database in databases:
        postgresql.drop(database)

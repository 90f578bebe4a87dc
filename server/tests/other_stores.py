"""Stores that are made by what MLflow has for that."""

from __future__ import annotations

import mlflow
import sqlalchemy
from alembic import command
from mlflow.demo import generate_all_demos
from mlflow.store.db import utils
from mlflow.store.tracking.dbmodels.initial_models import Base


def make_demo(uri: str) -> None:
    """MLflow's own demo."""
    mlflow.set_tracking_uri(uri)
    generate_all_demos()


def make_2_9(uri: str) -> None:
    """A run in the tables that MLflow 2.9 had, made by the migrations of today's."""
    engine = sqlalchemy.create_engine(uri)
    Base.metadata.create_all(engine)
    command.upgrade(utils._get_alembic_config(uri), "acf3f17fdcc7")
    with engine.begin() as connection:
        for order in _ROWS_OF_2_9.split(";\n")[:-1]:
            connection.execute(sqlalchemy.text(order))


_ROWS_OF_2_9 = """
INSERT INTO experiments (name, artifact_location, lifecycle_stage, creation_time)
VALUES ('of 2.9', './mlruns/1', 'active', 7);
INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, end_time,
                  source_version, lifecycle_stage, artifact_uri, experiment_id)
VALUES ('abc', 'first', 'UNKNOWN', '', '', 'me', 'FINISHED', 1, 2, '', 'active', './mlruns/1/abc/artifacts', 1);
INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES ('m', 0.1, 1, 'abc', 0, false);
INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) VALUES ('m', 0.1, 1, 0, false, 'abc');
INSERT INTO params (key, value, run_uuid) VALUES ('p', 'x', 'abc');
"""

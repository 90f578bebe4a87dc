"""A store that a server writes into comes as it was at one moment, and the server goes on."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from docker.models.containers import Container

from contract.labels import ROLE, STACK

from .harness import Deployment, wait_for
from .old_databases import output_of

WRITE = """
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
client = MlflowClient("http://127.0.0.1:5000")
experiment = client.create_experiment("written")
number = 0
while True:
    run = client.create_run(experiment).info.run_id
    number += 1
    client.log_batch(run, [Metric(key, number, 1, 0) for key in "abc"], [Param(key, str(number)) for key in "de"])
    print(number, flush=True)
"""


@pytest.fixture(scope="module")
def new(empty_stack: Deployment) -> Deployment:
    return empty_stack


@contextmanager
def old_server(stack: Deployment, folder: Path) -> Iterator[Container]:
    """`mlflow server` on a file in a folder of this machine."""
    server = stack.engine.containers.run(
        stack.image("mlflow"),
        ["server", "--workers", "1", "--backend-store-uri", "sqlite:////store/mlflow.db"],
        entrypoint=["mlflow"],
        user=f"{os.getuid()}:{os.getgid()}",
        volumes={str(folder): {"bind": "/store"}},
        working_dir="/store",
        labels={STACK: stack.prefix, ROLE: "old"},
        init=True,
        detach=True,
    )
    ask = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:5000/health')"
    try:
        wait_for(lambda: server.exec_run(["python", "-c", ask]).exit_code == 0, "the old server")
        yield server
    finally:
        server.remove(force=True, v=True)


def test_a_file_that_a_server_writes_into_comes_as_it_was_at_one_moment(new: Deployment, tmp_path: Path) -> None:
    """Readers of a log write beside it, which a mounted folder does not let them. server/tests has the other modes."""
    path = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = wal")
    with old_server(new, tmp_path) as server:
        server.exec_run(["sh", "-c", 'exec python -c "$@" > /tmp/written', "sh", WRITE], detach=True)

        def written() -> int:
            return len(output_of(server, "sh", "-c", "touch /tmp/written; cat /tmp/written").split())

        wait_for(lambda: written() >= 10, "runs in the old store")
        before = written()
        printed = new.ops("import", "--clash", "rename", "--artifacts", "leave", str(path))
        after = written()
        wait_for(lambda: written() > after, "another run in the old store")
    assert "DIFFERENT" not in printed
    with new.database() as session:
        runs = session.execute(
            "SELECT (SELECT count(*) FROM metrics WHERE metrics.run_uuid = runs.run_uuid),"
            " (SELECT count(*) FROM params WHERE params.run_uuid = runs.run_uuid)"
            " FROM runs JOIN experiments USING (experiment_id) WHERE experiments.name = 'written'"
        ).fetchall()
    assert before <= len(runs) <= after + 1
    # Of the last run the parameters may be there alone, or nothing yet: each kind is logged in a transaction.
    unfinished = [each for each in runs if each != (3, 2)]
    assert unfinished in ([], [(0, 0)], [(0, 2)])

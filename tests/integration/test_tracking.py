"""What the platform is for: MLflow's own client logs, reads back, and finds it all in PostgreSQL's tables."""

from __future__ import annotations

import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import mlflow
import psycopg
import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag

from . import readme_example
from .harness import Deployment, workers
from .limits import REQUEST

PARAMETERS = {"rate": "0.1", "depth": "7", "名前": "ünïcode"}
METRICS = {"loss": 1.5, "accuracy": 0.25}
STEPS = 100


@dataclass(frozen=True)
class Logged:
    client: MlflowClient
    experiment_id: str
    run_id: str
    artifact: bytes


@pytest.fixture(scope="module")
def logged(stack: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Logged:
    client = MlflowClient(stack.outputs()["tracking_url"])
    experiment_id = client.create_experiment("integration")
    run_id = client.create_run(experiment_id, run_name="first").info.run_id
    client.log_batch(
        run_id,
        metrics=[
            Metric(key, value * step, 1_000 + step, step) for key, value in METRICS.items() for step in range(STEPS)
        ],
        params=[Param(key, value) for key, value in PARAMETERS.items()],
        tags=[RunTag("stage", "test")],
    )
    path = tmp_path_factory.mktemp("artifact") / "weights.bin"
    path.write_bytes(os.urandom(20_000_000))
    client.log_artifact(run_id, str(path))
    client.set_terminated(run_id)
    return Logged(client, experiment_id, run_id, path.read_bytes())


@pytest.fixture
def database(stack: Deployment) -> Iterator[psycopg.Connection]:
    with stack.database() as connection:
        yield connection


def test_the_application_in_front_of_mlflow_creates_a_run(stack: Deployment) -> None:
    MlflowClient(stack.outputs()["tracking_url"]).create_run("0")
    assert stack.used_the_application(), "MLflow answered instead"


def test_the_first_run_of_the_readme_is_logged(stack: Deployment) -> None:
    url = stack.outputs()["tracking_url"]
    readme_example.follow(url)
    (run,) = runs_of(MlflowClient(url), "first")
    assert run.data.metrics == {"loss": 0.5}


def runs_of(client: MlflowClient, experiment: str) -> list[Run]:
    found = client.get_experiment_by_name(experiment)
    assert found
    return list(client.search_runs([found.experiment_id]))


@pytest.mark.parametrize(
    ("host", "status"),
    [
        *(("localhost:9999", 200), ("127.0.0.1:1", 200), ("[::1]:9999", 200), ("192.168.7.7:80", 200)),
        *(("{prefix}-mlflow:5000", 200), ("evil.test", 403), ("evil.test:5000", 403)),
    ],
)
def test_the_server_answers_to_the_names_that_mlflow_s_own_default_answers_to(
    stack: Deployment, host: str, status: int
) -> None:
    """A tunnel comes by a port of its own, and a neighbour on the network by the container's name."""
    connection = http.client.HTTPConnection("127.0.0.1", stack.settings["mlflowPort"], timeout=REQUEST)
    with closing(connection):
        path = "/api/2.0/mlflow/experiments/search?max_results=1"
        connection.request("GET", path, headers={"Host": host.format(prefix=stack.prefix)})
        assert connection.getresponse().status == status


def test_a_run_is_read_back_as_it_was_logged(logged: Logged) -> None:
    run = logged.client.get_run(logged.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params == PARAMETERS
    assert run.data.tags["stage"] == "test"
    for key, value in METRICS.items():
        history = logged.client.get_metric_history(logged.run_id, key)
        assert [(each.step, each.value) for each in history] == [(step, value * step) for step in range(STEPS)]


def test_an_artifact_is_read_back_to_the_byte(logged: Logged, tmp_path: Path) -> None:
    path = mlflow.artifacts.download_artifacts(
        run_id=logged.run_id,
        artifact_path="weights.bin",
        dst_path=str(tmp_path),
        tracking_uri=logged.client.tracking_uri,
    )
    assert Path(path).read_bytes() == logged.artifact


def test_it_is_all_in_the_tables(logged: Logged, database: psycopg.Connection) -> None:
    def rows(query: str) -> set[tuple[object, ...]]:
        return set(database.execute(query, {"run": logged.run_id, "experiment": logged.experiment_id}).fetchall())

    assert rows("SELECT name FROM experiments WHERE experiment_id = %(experiment)s") == {("integration",)}
    assert rows("SELECT status FROM runs WHERE run_uuid = %(run)s") == {("FINISHED",)}
    assert rows("SELECT key, value FROM params WHERE run_uuid = %(run)s") == set(PARAMETERS.items())
    assert ("stage", "test") in rows("SELECT key, value FROM tags WHERE run_uuid = %(run)s")
    assert rows("SELECT key, step, value FROM metrics WHERE run_uuid = %(run)s") == {
        (key, step, value * step) for key, value in METRICS.items() for step in range(STEPS)
    }


def test_text_is_sorted_by_its_bytes_and_any_alphabet_has_capitals(database: psycopg.Connection) -> None:
    asked = "SELECT array(SELECT unnest(ARRAY['b', 'a', 'B', 'é', 'É']) ORDER BY 1), 'ÉTÉ' ILIKE 'été'"
    assert database.execute(asked).fetchone() == (["B", "a", "b", "É", "é"], True)


def test_the_server_has_its_drivers_and_its_object_stores(stack: Deployment) -> None:
    stack.execute("mlflow", "python", "-c", "import boto3, psycopg")


def test_every_worker_is_forked_with_mlflow_and_the_fast_loop_in_it(stack: Deployment) -> None:
    found = workers(stack)
    assert len(found) == stack.settings["mlflowWorkers"]
    for worker in found:
        loaded = Path(f"/proc/{worker}/maps").read_text()
        assert "uvloop" in loaded
        assert "httptools" in loaded


def test_a_page_of_another_name_is_refused(stack: Deployment) -> None:
    """A web page that rebinds its own name to this address must not read the runs."""
    url = stack.outputs()["tracking_url"] + "/api/2.0/mlflow/experiments/search?max_results=1"
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(urllib.request.Request(url, headers={"Host": "evil.example"}))

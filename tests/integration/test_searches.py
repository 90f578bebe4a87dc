"""The server of a stack uses the faster store. server/tests compares its answers and rows with MLflow's own."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from mlflow import MlflowClient

from server.tests.comparison import searches
from server.tests.comparison.questions import Question
from server.tests.comparison.runs import KEY, LONG, LONG_TAG, Filled, fill

from .harness import Deployment, deployment
from .limits import REQUEST

SCRIPT = Path(searches.__file__)


@pytest.fixture(scope="module")
def full(engine: docker.DockerClient) -> Iterator[tuple[Deployment, MlflowClient, Filled]]:
    with deployment(engine) as stack:
        stack.up()
        client = MlflowClient(stack.outputs()["tracking_url"])
        with stack.database() as database:
            filled = fill(client, database)
        yield stack, client, filled


Full = tuple[Deployment, MlflowClient, Filled]


@pytest.fixture(scope="module")
def reply(full: Full) -> dict[str, Any]:
    """What MLflow's own functions make of the first page, in the server's container."""
    stack, _, filled = full
    question = ["", [], 3, 50, [filled.experiments[name] for name in Question().experiments], None]
    printed = stack.execute("mlflow", "python", "-c", SCRIPT.read_text(), json.dumps(question))
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])["reply"]
    return found


def test_the_server_answers_with_what_mlflow_would_write(full: Full, reply: dict[str, Any]) -> None:
    stack, _, filled = full
    asked = {
        "experiment_ids": [filled.experiments[name] for name in Question().experiments],
        "order_by": ["metrics.m DESC"],
        "run_view_type": "ALL",
        "max_results": 50,
    }
    body = search(stack, asked)
    assert b"\n" not in body, "MLflow's own JSON has lines: the plug-in is not in the server"
    answer = json.loads(body)
    assert answer.pop("next_page_token")
    for run in [*answer["runs"], *reply["runs"]]:
        for details in run["data"].values():
            details.sort(key=lambda each: str(each["key"]))
    assert answer == reply
    values = {metric["value"] for run in answer["runs"] for metric in run["data"]["metrics"] if metric["key"] == "m"}
    assert {3.0, 1e300} <= values


def test_the_server_pages_by_a_metric_as_the_store_does(full: Full) -> None:
    """Every run of the experiment comes once, those with the metric first and in its order."""
    _, client, filled = full
    experiment = [filled.experiments["odd"]]
    pages: list[Any] = []
    token = None
    while token or not pages:
        page = client.search_runs(experiment, order_by=["metrics.sparse DESC"], max_results=9, page_token=token)
        pages.append(page)
        token = page.token
    runs = [run for page in pages for run in page]
    assert {len(page) for page in pages[:-1]} == {9}
    assert len({run.info.run_id for run in runs}) == len(runs) == 200
    values = [run.data.metrics.get("sparse") for run in runs]
    having = [value for value in values if value is not None]
    assert values == sorted(having, reverse=True) + [None] * 182


@pytest.mark.parametrize(
    ("key", "value"), [("params.long", LONG), ("tags.long", LONG_TAG), ("params.longest", LONG_TAG)]
)
def test_the_longest_values_are_logged_and_found(full: Full, key: str, value: str) -> None:
    """MLflow cuts a parameter of over 6,000 characters; the schema, and so an older store, has up to 8,000."""
    _, client, filled = full
    kind, _, name = key.partition(".")
    run = client.get_run(filled.first)
    assert getattr(run.data, kind)[name] == value
    for search_filter, count in ((f"{key} = '{value}'", 1), (f"{key} = '{value[:-1]}'", 0), (f"{key} != '{value}'", 0)):
        assert len(client.search_runs([filled.experiments["odd"]], search_filter)) == count
    assert run.data.params[KEY] == run.data.params["p"]


def test_a_client_in_the_container_gets_the_store_that_it_gets_without_us(full: Full) -> None:
    """It says no place for artifacts: MLflow's own is then the server's, or a folder beside it."""
    stack, _, _ = full
    script = (
        "import os; from mlflow.tracking import _get_store; store = _get_store(os.environ['MLFLOW_BACKEND_STORE_URI']);"
        "print(store.artifact_root_uri, store.search_runs.__self__._search_runs.__module__)"
    )
    root, module = stack.execute("mlflow", "python", "-c", script).split()[-2:]
    assert root.endswith("/mlruns") or root.startswith("mlflow-artifacts:")
    assert module.startswith("mlflow_postgres."), "the plug-in is not the one that MLflow asks"


def search(stack: Deployment, question: dict[str, Any]) -> bytes:
    request = urllib.request.Request(
        f"{stack.outputs()['tracking_url']}/api/2.0/mlflow/runs/search",
        json.dumps(question).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=REQUEST) as answer:
        body: bytes = answer.read()
        return body

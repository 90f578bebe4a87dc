"""The faster store gives MLflow's own answers, out of the indexes that it is there for.

One stack with a few hundred odd runs; a script in the server's container asks them both ways (`searches/`).
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from mlflow import MlflowClient

from images.mlflow.schema.tuning import INDEXES

from .harness import Deployment, deployment
from .limits import REQUEST
from .searches.questions import FILTERS, NOWHERE, REFUSED, Question, questions
from .searches.runs import KEY, LONG, LONG_TAG, Filled, fill

ASKED = questions()
SCRIPTS = Path(__file__).with_name("searches")


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
def said(full: Full) -> dict[str, Any]:
    """What the script in the container prints."""
    stack, _, filled = full
    asked = [
        [
            *(each.filter, each.order, each.view, each.most),
            *([filled.experiments[name] for name in each.experiments], each.token),
        ]
        for each in ASKED
    ]
    printed = stack.execute(
        "mlflow", "python", "-c", (SCRIPTS / "compare.py").read_text(), *(json.dumps(each) for each in asked)
    )
    outcome: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return outcome


@pytest.fixture(scope="module")
def traced(full: Full) -> dict[str, Any]:
    """What the script in the container prints of traces."""
    printed = full[0].execute("mlflow", "python", "-c", (SCRIPTS / "traces.py").read_text())
    outcome: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return outcome


def test_every_answer_is_mlflows_own(said: dict[str, Any]) -> None:
    assert said["differing"] == []
    assert said["left_behind"] == [None, None], "a search that failed goes on to change those after it"


def test_mlflows_own_was_asked_first_and_the_faster_store_then(said: dict[str, Any]) -> None:
    assert said["plainly"] == [False, False, False]
    assert said["served"] == [True, True, True]
    assert said["tries"] == 2, "one among the runs that have the metric, and as none has it, MLflow's own"
    # A page has five, so that eight runs fill it, unless only those above the sixth value count as the best.
    assert said["tries_within"] == [1, 1, 1, 1], "whoever meets the condition was among the best"
    assert said["tries_of_few"] == [[2, 2, 1, 1], *[[1, 1, 1, 1]] * 3]


def test_a_search_is_planned_for_its_values_however_often_it_is_asked(said: dict[str, Any]) -> None:
    """Kept plans are for any values: with those, a tag that thousands have is looked up run by run."""
    plainly, ours = said["kept"]
    assert plainly == [True, True], "psycopg and PostgreSQL keep one by themselves"
    assert ours == [False, True]


def test_the_questions_find_what_they_are_there_for(said: dict[str, Any]) -> None:
    found: dict[str, int] = {}
    for question, count in zip(ASKED, said["found"], strict=True):
        found[question.filter] = found.get(question.filter, 0) + count
    assert {each for each in NOWHERE if found[each]} == set()
    assert {each for each in FILTERS if not found[each]} == set()
    refused = {question for question, refusal in zip(ASKED, said["refused"], strict=True) if refusal}
    assert refused == set(REFUSED)


def test_each_index_can_serve_the_search_that_it_is_there_for(said: dict[str, Any], traced: dict[str, Any]) -> None:
    plans = said["plans"] | traced["plans"]
    assert set(plans) == set(INDEXES)
    unused = {index: plan for index, plan in plans.items() if index not in plan}
    assert unused == {}


def test_every_answer_with_traces_is_mlflows_own(traced: dict[str, Any]) -> None:
    assert traced["differing"] == []
    assert not traced["left_behind"], "what reads traces for itself would get their JSON"
    assert traced["plainly"] == [False, False], "MLflow's own was asked first"
    assert traced["served"] == traced["answered"], "some were left to MLflow"
    assert min(traced["answered"]) > 100
    assert traced["spans"] > 100
    assert traced["assessed"] > 100
    assert traced["refused"] > 10


def test_the_filters_of_traces_find_what_they_are_there_for(traced: dict[str, Any]) -> None:
    assert {text for text, count in traced["found"].items() if not count} == set(traced["nowhere"])


def test_the_server_answers_with_what_mlflow_would_write(full: Full, said: dict[str, Any]) -> None:
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
    for run in [*answer["runs"], *said["reply"]["runs"]]:
        for details in run["data"].values():
            details.sort(key=lambda each: str(each["key"]))
    assert answer == said["reply"]
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
    assert module.startswith("store."), "the plug-in is not the one that MLflow asks"


def test_every_batch_leaves_the_rows_that_mlflows_own_would_leave(full: Full) -> None:
    """Odd values, twice the same, what is not allowed, a deleted run: rows and refusals alike."""
    printed = full[0].execute("mlflow", "python", "-c", (SCRIPTS / "batches.py").read_text())
    outcome = json.loads(printed.splitlines()[-1])
    assert outcome["differing"] == []
    # As many as there are, each way of a batch was taken often.
    assert outcome["written"] > 100
    assert outcome["refused"] > 50


def test_a_run_is_made_and_changed_as_mlflow_itself_would(full: Full) -> None:
    """Names, tags, states, times, other people's experiments: answers, rows and refusals alike."""
    printed = full[0].execute("mlflow", "python", "-c", (SCRIPTS / "changes.py").read_text())
    outcome = json.loads(printed.splitlines()[-1])
    assert outcome["differing"] == []
    # Each way was taken: in few statements, and handed over to MLflow.
    assert min(outcome["made"], outcome["changed"], outcome["left"], outcome["refused"]) > 10


def search(stack: Deployment, question: dict[str, Any]) -> bytes:
    request = urllib.request.Request(
        f"{stack.outputs()['tracking_url']}/api/2.0/mlflow/runs/search",
        json.dumps(question).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=REQUEST) as answer:
        body: bytes = answer.read()
        return body

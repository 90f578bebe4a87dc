"""The faster store gives MLflow's own answers and writes MLflow's own rows, by way of the indexes that it has.

A few hundred odd runs and traces on a bare PostgreSQL; scripts ask both stores in a process of their own
(`comparison/`), since the faster store changes MLflow's functions for good.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from mlflow import MlflowClient

from mlflow_postgres.migration.tuning import INDEXES

from . import PYTHONPATH
from .comparison.questions import FILTERS, NOWHERE, REFUSED, questions
from .comparison.runs import Filled, fill
from .postgresql import Server

ASKED = questions()
SCRIPTS = ("searches", "traces")


def run(arguments: dict[str, list[Any]]) -> dict[str, dict[str, Any]]:
    """What each script returns."""
    done = subprocess.run(
        [sys.executable, "-m", "server.tests.comparison"],
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        input=json.dumps(arguments),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    outcomes: dict[str, dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return outcomes


def asked(filled: Filled) -> list[list[Any]]:
    """The questions, as `searches` takes them."""
    return [
        [
            *(each.filter, each.order, each.view, each.most),
            *([filled.experiments[name] for name in each.experiments], each.token),
        ]
        for each in ASKED
    ]


@pytest.fixture(scope="module")
def outcomes(postgresql: Server, schema: str) -> Iterator[dict[str, dict[str, Any]]]:
    """What each script returns. They run at the same time, each on a database of its own."""
    for script in SCRIPTS:
        postgresql.create(script, schema)
    arguments: dict[str, list[Any]] = {script: [postgresql.store_uri(script)] for script in SCRIPTS}
    with psycopg.connect(postgresql.uri("searches")) as connection:
        filled = fill(MlflowClient(postgresql.store_uri("searches")), connection)
    arguments["searches"].append(asked(filled))
    yield run(arguments)
    for script in SCRIPTS:
        postgresql.drop(script)


@pytest.fixture(scope="module")
def said(outcomes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return outcomes["searches"]


@pytest.fixture(scope="module")
def traced(outcomes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return outcomes["traces"]


def test_every_answer_is_mlflows_own(said: dict[str, Any]) -> None:
    assert said["differing"] == []
    assert said["left_behind"] == [None, None], "a search that failed goes on to change those after it"


def test_mlflows_own_was_asked_first_and_the_faster_store_then(said: dict[str, Any]) -> None:
    assert said["plainly"] == [False, False, False]
    assert said["served"] == [True, True, True]
    assert said["tries"] == 2, "one among the runs that have the metric, and as none has it, MLflow's own"
    # A page has five, so that eight runs fill it, unless only those above the sixth value count as the best.
    assert said["tries_within"] == [1, 1, 1, 1], "whoever meets the condition was among the best"
    assert said["tries_of_few"] == [[2, 2, 1, 1], [1, 1, 1, 1]]


def test_pages_by_a_metric_hold_every_run_once_and_those_with_the_metric_first(said: dict[str, Any]) -> None:
    pages = said["paged"]
    runs = [run_id for page in pages for run_id, _ in page]
    assert {len(page) for page in pages[:-1]} == {9}
    assert len(set(runs)) == len(runs) == 100, "all but those that were deleted"
    values = [value for page in pages for _, value in page]
    having = [value for value in values if value is not None]
    assert values == sorted(having, reverse=True) + [None] * 82


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
    assert min(traced["answered"]) > 50
    assert traced["spans"] > 100
    assert traced["assessed"] > 100
    assert traced["refused"] > 10


def test_the_filters_of_traces_find_what_they_are_there_for(traced: dict[str, Any]) -> None:
    assert {text for text, count in traced["found"].items() if not count} == set(traced["nowhere"])

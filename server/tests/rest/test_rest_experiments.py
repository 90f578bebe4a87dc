"""Experiments: get, get-by-name and set-experiment-tag."""

from __future__ import annotations

from typing import Any

import pytest
from mlflow.utils.validation import MAX_EXPERIMENT_TAG_VAL_LENGTH

from .conftest import LOCATIONS
from .sides import Request, Sides

EXPERIMENTS = "/api/2.0/mlflow/experiments"


def get(query: Any) -> Request:
    return Request("GET", f"{EXPERIMENTS}/get", query=query)


def by_name(query: Any) -> Request:
    return Request("GET", f"{EXPERIMENTS}/get-by-name", query=query)


@pytest.fixture(scope="module", autouse=True)
def odd(sides: Sides) -> None:
    """Experiments that only an older version or another hand has left."""
    sides.execute(
        "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, creation_time,"
        " last_update_time) VALUES (500, 'null location', NULL, 'active', 1, 2), (501, 'no stage', 'x:/y', NULL, 1, 2),"
        " (502, 'no times', 'x:/y', 'active', NULL, NULL), (503, 'times 0', 'x:/y', 'deleted', 0, 0),"
        " (504, '', 'x:/y', 'active', 1, 2), (505, 'Name 名前 + \"&=% \\ 😀', '', 'active', 1, 2)",
        "INSERT INTO experiment_tags (experiment_id, key, value) VALUES (505, 'null', NULL),"
        " (505, 'ü \"', '{\"a\": 1}'),"
        " (505, 'long', repeat('x', 20000))",
    )


@pytest.mark.parametrize("experiment_id", [0, *range(1, len(LOCATIONS) + 1), 502, 503, 504, 505])
def test_an_experiment_is_read_as_mlflow_does(sides: Sides, experiment_id: int) -> None:
    request = get({"experiment_id": experiment_id})
    assert sides.is_served(request)
    name = sides.ask(request).body["experiment"]["name"]
    # MLflow takes an empty name for a missing one.
    assert sides.is_served(by_name({"experiment_name": name})) == (name != "")


@pytest.mark.parametrize(
    "query",
    [
        *("", "experiment_id", "experiment_id=", "experiment_id=999", "experiment_id=00", "experiment_id=%200"),
        *("experiment_id=-1", "experiment_id=x", "experiment_id=99999999999", "experiment_id=0&experiment_id=1"),
        *("experiment_id=0&more=1", "experimentId=0", "experiment_id=500", "experiment_id=501", "experiment_id=0%00"),
    ],
)
def test_mlflow_answers_for_other_ids(sides: Sides, query: str) -> None:
    assert not sides.is_served(get(query))


@pytest.mark.parametrize(
    "query",
    [
        *("", "experiment_name", "experiment_name=", "experiment_name=unknown", "experiment_name=default"),
        *("experiment_name=null+location", "experiment_name=no+stage", "experiment_name=%ff", "experiment_name=a%00"),
        "experiment_name=Default&experiment_name=Default",
    ],
)
def test_mlflow_answers_for_other_names(sides: Sides, query: str) -> None:
    assert not sides.is_served(by_name(query))


def set_tag(body: Any) -> Request:
    return Request("POST", f"{EXPERIMENTS}/set-experiment-tag", body)


TAGS: list[dict[str, Any]] = [
    {"key": "k", "value": "1"},
    {"key": "k", "value": "1"},
    {"key": "k", "value": "2 \"é' \\ 😀"},
    {"key": "k", "value": ""},
    {"key": "k"},
    {"key": "a/b.c-d e:f_é\n", "value": "x"},
    {"key": "k" * 250, "value": "v" * MAX_EXPERIMENT_TAG_VAL_LENGTH},
    {"key": "mlflow.note.content", "value": "# A note"},
]


@pytest.mark.parametrize("tag", TAGS, ids=range(len(TAGS)))
def test_a_tag_is_set_as_mlflow_does(sides: Sides, tag: dict[str, Any]) -> None:
    for experiment_id in ("0", "1", "502"):
        assert sides.is_served(set_tag({"experiment_id": experiment_id} | tag))
        sides.compare_rows()
        sides.ask(get({"experiment_id": experiment_id}))


def test_mlflow_answers_for_other_tags(sides: Sides) -> None:
    tags: list[dict[str, Any]] = [
        *({"key": key, "value": "v"} for key in ("", "a//b", "../a", "/a", "k" * 251, None, 5, ".", "a\0b")),
        *({"key": "k", "value": value} for value in ("v" * (MAX_EXPERIMENT_TAG_VAL_LENGTH + 1), None, 5, "a\0b")),
        *({"key": key, "value": "x"} for key in ("mlflow.customView.view1", "mlflow.trace.archivalRetention")),
        *({}, {"value": "v"}, {"key": "k", "value": "v", "more": 1}),
    ]
    for tag in tags:
        assert not sides.is_served(set_tag({"experiment_id": "0"} | tag)), tag
        sides.compare_rows()
    for experiment_id in ("503", "999", "", "00", None, 0, "x", "501"):
        assert not sides.is_served(set_tag({"experiment_id": experiment_id, "key": "k", "value": "v"})), experiment_id
    sides.compare_rows()

"""Runs: create, update and get."""

from __future__ import annotations

from typing import Any

import pytest

from .sides import Request, Sides

RUNS = "/api/2.0/mlflow/runs"


def create(body: Any, **more: Any) -> Request:
    return Request("POST", f"{RUNS}/create", body, **more)


SERVED: list[dict[str, Any]] = [
    {"experiment_id": "0", "user_id": "me", "start_time": 1700000000123, "run_name": "r", "tags": []},
    {"experiment_id": "0"},
    {"experiment_id": "0", "start_time": 0, "run_name": ""},
    {"experiment_id": "0", "tags": [{"key": "mlflow.runName", "value": "from the tag"}]},
    {"experiment_id": "0", "run_name": "same", "tags": [{"key": "mlflow.runName", "value": "same"}]},
    {"experiment_id": "0", "run_name": "名前 😀 \" \\ { } , ' \n", "user_id": "Ä", "tags": [{"key": "ü", "value": '{"'}]},
    {"experiment_id": "0", "start_time": 2**63 - 1, "tags": [{"key": "t", "value": ""}, {"key": "u"}]},
    {"experiment_id": "0", "start_time": -(2**63)},
    {"experiment_id": "0", "run_name": "n" * 250, "user_id": "u" * 256, "tags": [{"key": "k" * 250, "value": "v" * 8000}]},
    {"experiment_id": "0", "tags": [{"key": "", "value": "empty"}, {"key": " spaces ", "value": " v "}]},
]
HANDED_ON: list[Any] = [
    {},
    {"experiment_id": ""},
    {"experiment_id": "00"},
    {"experiment_id": 0},
    {"experiment_id": "999"},
    {"experiment_id": "nonsense"},
    {"experiment_id": "99999999999"},
    {"experiment_id": "0", "unknown": 1},
    {"experiment_id": "0", "start_time": "5"},
    {"experiment_id": "0", "start_time": 5.0},
    {"experiment_id": "0", "start_time": 5.5},
    {"experiment_id": "0", "start_time": 2**63},
    {"experiment_id": "0", "run_name": None},
    {"experiment_id": "0", "run_name": "one", "tags": [{"key": "mlflow.runName", "value": "other"}]},
    {"experiment_id": "0", "tags": [{"key": "mlflow.runName", "value": ""}]},
    {"experiment_id": "0", "tags": [{"key": "t", "value": "1"}, {"key": "t", "value": "2"}]},
    {"experiment_id": "0", "tags": [{"value": "no key"}]},
    {"experiment_id": "0", "tags": [{"key": "t", "value": 5}]},
    {"experiment_id": "0", "tags": [{"key": "t", "more": "5"}]},
    {"experiment_id": "0", "tags": {"key": "t"}},
    {"experimentId": "0"},
    {"experiment_id": "0", "run_name": "n" * 251},
    {"experiment_id": "0", "user_id": "u" * 257},
    {"experiment_id": "0", "tags": [{"key": "k" * 251, "value": "v"}]},
    {"experiment_id": "0", "tags": [{"key": "k", "value": "v" * 8001}]},
    {"experiment_id": "0", "run_name": "a\0b"},
    '{"experiment_id": "0", "run_name": "\\ud800"}',
    '{"experiment_id": "0", "start_time": NaN}',
    '"{\\"experiment_id\\": \\"0\\"}"',
    "",
    "{",
    "[]",
    "null",
    b'\xff\xfe{\x00}\x00',
    b'{"experiment_id": "0", "run_name": "\xff"}',
    '{"experiment_id": "0", "run_name": ' + "[" * 100_000,
]


@pytest.mark.parametrize("body", SERVED, ids=range(len(SERVED)))
def test_a_run_is_created_as_mlflow_does(sides: Sides, body: dict[str, Any]) -> None:
    assert sides.is_served(create(body))
    sides.compare_rows()


@pytest.mark.parametrize("body", HANDED_ON, ids=range(len(HANDED_ON)))
def test_mlflow_creates_or_refuses_a_run_that_is_not_plain(sides: Sides, body: Any) -> None:
    assert not sides.is_served(create(body))
    sides.compare_rows()

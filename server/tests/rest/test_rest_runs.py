"""Runs: create, update and get."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import LOCATIONS
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
    {
        "experiment_id": "0",
        "run_name": "名前 😀 \" \\ { } , ' \n",
        "user_id": "Ä",
        "tags": [{"key": "ü", "value": '{"'}],
    },
    {"experiment_id": "0", "start_time": 2**63 - 1, "tags": [{"key": "t", "value": ""}, {"key": "u"}]},
    {"experiment_id": "0", "start_time": -(2**63)},
    {
        "experiment_id": "0",
        "run_name": "n" * 250,
        "user_id": "u" * 256,
        "tags": [{"key": "k" * 250, "value": "v" * 8000}],
    },
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
    b"\xff\xfe{\x00}\x00",
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


@pytest.mark.parametrize("name", LOCATIONS)
def test_a_runs_artifacts_go_where_mlflow_puts_them(sides: Sides, name: str) -> None:
    experiment = Request("GET", "/api/2.0/mlflow/experiments/get-by-name", query={"experiment_name": name})
    experiment_id = sides.ask(experiment).body["experiment"]["experiment_id"]
    is_plain = name in ("nested", "bucket", "dots", "long", "file host")
    assert sides.is_served(create({"experiment_id": experiment_id})) == (is_plain and name not in ("long", "file host"))
    sides.compare_rows()


def test_no_run_is_created_in_a_deleted_experiment(sides: Sides) -> None:
    sides.execute(
        "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage)"
        " VALUES (77, 'deleted', 'mlflow-artifacts:/77', 'deleted')"
    )
    assert not sides.is_served(create({"experiment_id": "77"}))
    sides.compare_rows()


def new(sides: Sides, **fields: Any) -> str:
    """Id of a new run."""
    run_id: str = sides.ask(create({"experiment_id": "0", "start_time": 5, "run_name": "run"} | fields)).body["run"][
        "info"
    ]["run_id"]
    return run_id


def update(body: Any) -> Request:
    return Request("POST", f"{RUNS}/update", body)


def get(query: Any) -> Request:
    return Request("GET", f"{RUNS}/get", query=query)


CHANGES: list[dict[str, Any]] = [
    {"status": None, "end_time": 3},
    *({"status": status} for status in ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")),
    {"end_time": 0},
    {"end_time": 1700000000123},
    {"end_time": -(2**63)},
    {"end_time": 2**63 - 1, "status": "FINISHED", "run_name": 'renamed 名前 " \\'},
    {"run_name": "only the name"},
    {"run_name": "", "status": "FAILED"},
    {"run_name": "n" * 250},
]
NO_CHANGES: list[dict[str, Any]] = [
    {},
    {"run_name": ""},
    {"status": "NONSENSE"},
    {"status": 3},
    {"status": 0},
    {"status": "3"},
    {"end_time": "4"},
    {"end_time": 1.5},
    {"end_time": 2**63},
    {"run_name": "n" * 251},
    {"run_name": "a\0b"},
    {"run_uuid": "another", "status": "FAILED"},
    {"runId": "another", "status": "FAILED"},
    {"lifecycle_stage": "deleted"},
]


def test_a_run_is_updated_as_mlflow_does(sides: Sides) -> None:
    run_id = new(sides)
    for change in CHANGES:
        assert sides.is_served(update({"run_id": run_id} | change)), change
        sides.compare_rows()
        assert sides.is_served(update({"run_id": run_id, "run_uuid": run_id} | change)), change
        assert sides.is_served(get({"run_id": run_id}))


def test_mlflow_updates_or_refuses_what_is_not_plain(sides: Sides) -> None:
    run_id = new(sides)
    for change in NO_CHANGES:
        assert not sides.is_served(update({"run_id": run_id} | change)), change
        sides.compare_rows()
    for body in [
        {"status": "FAILED"},
        *({"status": "FAILED", "run_id": each} for each in ("", "nowhere", None, 5, run_id + "\n")),
    ]:
        assert not sides.is_served(update(body)), body
    assert not sides.is_served(update({"status": "FAILED", "run_uuid": run_id}))
    sides.compare_rows()


def test_a_run_by_another_name_than_its_tag_is_read_and_renamed_as_mlflow_does(sides: Sides) -> None:
    for name in ("NULL", "''"):
        for tag in (None, "", "the tag's"):
            run_id = new(sides)
            sides.execute(f"UPDATE runs SET name = {name} WHERE run_uuid = '{run_id}'")
            value = "" if tag is None else tag.replace("'", "''")
            sides.execute(f"UPDATE tags SET value = '{value}' WHERE run_uuid = '{run_id}'")
            if tag is None:
                sides.execute(f"DELETE FROM tags WHERE run_uuid = '{run_id}'")
            assert sides.is_served(get({"run_id": run_id}))
            assert sides.is_served(update({"run_id": run_id, "status": "FAILED"}))
            assert sides.is_served(update({"run_id": run_id, "run_name": "new"}))
            sides.compare_rows()


@pytest.mark.parametrize(
    "column", ["user_id", "start_time", "experiment_id", "status", "lifecycle_stage", "artifact_uri"]
)
def test_mlflow_answers_for_a_run_that_lacks_a_column(sides: Sides, column: str) -> None:
    run_id = new(sides)
    sides.execute(f"UPDATE runs SET {column} = NULL WHERE run_uuid = '{run_id}'")
    is_optional = column == "artifact_uri"
    assert sides.is_served(get({"run_id": run_id})) == is_optional
    assert sides.is_served(update({"run_id": run_id, "status": "FAILED"})) == is_optional
    sides.compare_rows()


def test_a_deleted_run_is_read_and_not_changed(sides: Sides) -> None:
    run_id = new(sides)
    sides.ask(Request("POST", f"{RUNS}/delete", {"run_id": run_id}))
    sides.execute("UPDATE runs SET deleted_time = 5 WHERE deleted_time IS NOT NULL")
    assert sides.is_served(get({"run_id": run_id}))
    assert not sides.is_served(update({"run_id": run_id, "status": "FAILED"}))
    sides.compare_rows()


def test_what_a_query_may_say(sides: Sides) -> None:
    run_id = new(sides)
    for query in ({"run_id": run_id}, {"run_id": run_id, "run_uuid": run_id}):
        assert sides.is_served(get(query))
        assert sides.is_served(Request("GET", "/ajax-api/2.0/mlflow/runs/get", query=query))
    queries = [
        "",
        "run_id=",
        f"run_id={run_id}&run_id={run_id}",
        f"run_id={run_id}&more=1",
        f"run_uuid={run_id}",
        f"run_id={run_id}&run_uuid=other",
        "run_id=nowhere",
        f"run_id={run_id}%00",
        "run_id=%ff",
        f"runId={run_id}",
        f"run_id={run_id}%0A",
        "run_id",
        f"run_id={run_id};x=1",
    ]
    for text in queries:
        assert not sides.is_served(get(text)), text
    for body in ({"run_id": run_id}, "", "{"):
        request = Request("GET", f"{RUNS}/get", body, query={"run_id": run_id})
        assert sides.is_served(request) == (body == "")
        assert not sides.is_served(Request("GET", f"{RUNS}/get", body))


def test_a_run_has_its_datasets_and_models(sides: Sides) -> None:
    dataset = "INSERT INTO datasets (dataset_uuid, experiment_id, name, digest, dataset_source_type, dataset_source"
    sides.execute(
        f"{dataset}) VALUES ('d1', 0, 'one', 'x', 'local', 's'), ('d3', 0, 'three \"é', 'x', 'local', '{{}}')",
        f"{dataset}, dataset_schema, dataset_profile) VALUES ('d2', 0, 'two', 'x', 'local', 's', '{{\"a\": 1}}', '')",
    )
    links = (
        "'DATASET', 'd1', 'RUN', '{}'",
        "'DATASET', 'd2', 'RUN', '{}'",
        "'DATASET', 'd3', 'RUN', '{}'",
        "'DATASET', 'missing', 'RUN', '{}'",
        "'RUN_INPUT', '{}', 'MODEL_INPUT', 'm-1'",
        "'RUN_INPUT', '{}', 'MODEL_INPUT', 'm-2'",
        "'RUN_OUTPUT', '{}', 'MODEL_OUTPUT', 'm-3'",
        "'RUN_OUTPUT', '{}', 'MODEL_OUTPUT', 'm-4'",
        "'RUN_OUTPUT', '{}', 'OTHER', 'm-5'",
        "'DATASET', 'd1', 'EVALUATION', '{}'",
    )
    for chosen in [*([link] for link in links), links[:3], links[4:6], links[6:8], links]:
        run_id = new(sides)
        for number, link in enumerate(chosen):
            sides.execute(
                "INSERT INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id, step)"
                f" VALUES ('{number}-{run_id[:30]}', {link.format(run_id)}, {number * 7})",
                "INSERT INTO input_tags (input_uuid, name, value)"
                f" VALUES ('{number}-{run_id[:30]}', 'mlflow.data.context', 'train \"{number}')",
            )
        assert sides.is_served(get({"run_id": run_id}))
        body = {"experiment_ids": ["0"], "filter": f"run_id = '{run_id}'"}
        assert sides.is_served(Request("POST", f"{RUNS}/search", body))

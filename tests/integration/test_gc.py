"""Housekeeping: what was deleted long enough ago goes with its files, and every other row and file is as it was."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker import DockerClient

from .doctor import checks, expect_problems, sql, wait_until_healthy
from .harness import Deployment, deployment, wait_for

SCRIPT = (Path(__file__).parent / "gc_store.py").read_text()
DAYS = 2

REMOVED = {
    "old": "run",
    "in gone": "run",
    "in half": "run",
    "old model": "model",
    "model in gone": "model",
    "trace in gone": "trace",
    "gone": "experiment",
}
KEPT = {"registered": "gc-of-a-run version 1", "model in half": "gc-of-half version 1"}
"""What a registered model is made of, and the version that says so in the log."""
MENTIONED = {"model_versions.run_id", "logged_models.source_run_id", "tags.value", "trace_request_metadata.value"}
"""Where something that stays says where it came from."""
BY_ANOTHER_KEY = {"input_tags", "entity_associations"}
"""Tables that are looked at by themselves."""

Rows = dict[str, set[str]]


@pytest.fixture(scope="module")
def stack(engine: DockerClient) -> Iterator[Deployment]:
    with deployment(engine, gcAfterDays=DAYS) as made:
        made.up()
        yield made


@pytest.fixture(scope="module")
def ids(stack: Deployment) -> dict[str, str]:
    """A store with some of everything, of which all but the run `fresh` was deleted three days ago."""
    # MLflow's own notes come before and after.
    printed = stack.execute("mlflow", "python", "-c", SCRIPT).splitlines()
    made: dict[str, str] = json.loads(next(line for line in printed if line.startswith("{")))
    aged(stack, "runs", "deleted_time", f"run_uuid <> '{made['fresh']}'")
    aged(stack, "logged_models", "last_updated_timestamp_ms")
    aged(stack, "experiments", "last_update_time")
    return made


def aged(stack: Deployment, table: str, column: str, which: str = "true") -> None:
    """Three days pass for what is deleted."""
    three = 3 * 24 * 3600 * 1000
    sql(stack, f"UPDATE {table} SET {column} = {column} - {three} WHERE lifecycle_stage = 'deleted' AND {which}")


def collect(stack: Deployment, ends: str = "round done") -> str:
    """Have a round now, as a person would; what it said."""
    container = stack.container("gc")
    before = len(container.logs())
    container.restart()

    def said() -> str:
        return container.logs()[before:].decode()

    wait_for(lambda: ends in said() and "the next round" in said(), ends)
    return said()


def rows(stack: Deployment) -> Rows:
    """Every row of every table, as JSON."""
    names = sql(stack, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'").split()
    return {name: set(sql(stack, f"SELECT to_jsonb(each) FROM {name} AS each").splitlines()) for name in names}


def files(stack: Deployment) -> dict[str, str]:
    """Every file and folder of the artifact store, with a file's checksum."""
    listing = "cd /mlartifacts; find . -type f -exec sha256sum {} +; find . -type d -exec echo folder {} \\;"
    lines = stack.execute("mlflow", "sh", "-c", listing).splitlines()
    return {path: what for what, path in (line.split(maxsplit=1) for line in lines)}


def belongs(row: str, gone: set[str], experiment: str) -> set[str]:
    """The columns of a row that name what is gone."""
    fields = json.loads(row).items()
    in_it = {key for key, value in fields if key == "experiment_id" and str(value) == experiment}
    return in_it | {key for key, value in fields if isinstance(value, str) and value in gone}


def test_what_is_old_goes_and_all_else_is_as_it_was(stack: Deployment, ids: dict[str, str]) -> None:
    before, files_before = rows(stack), files(stack)
    said = collect(stack)
    after, files_after = rows(stack), files(stack)

    for name, kind in REMOVED.items():
        assert f" {kind} {ids[name]}: removed" in said, said
    for name, version in KEPT.items():
        assert f" {ids[name]}: kept: the registered model {version} uses its files" in said, said
    assert "round done: 7 removed, 2 kept, 0 failed" in said

    gone = {ids[name] for name, kind in REMOVED.items() if kind != "experiment"}
    for table in before:
        assert after[table] <= before[table], f"a row of {table} was changed"
        for row in before[table] - after[table]:
            assert belongs(row, gone, ids["gone"]) or table in BY_ANOTHER_KEY, f"{table} has lost {row}"
        left = {f"{table}.{key}" for row in after[table] for key in belongs(row, gone, ids["gone"])}
        assert left <= MENTIONED, f"what is gone is still named in {left}"
    orphans = "SELECT count(*) FROM input_tags WHERE input_uuid NOT IN (SELECT input_uuid FROM inputs)"
    assert sql(stack, orphans) == "0"
    inputs = {json.loads(row)["input_uuid"] for row in before["inputs"] - after["inputs"]}
    assert {json.loads(row)["input_uuid"] for row in before["input_tags"] - after["input_tags"]} <= inputs
    linked = [json.loads(row) for row in before["entity_associations"] - after["entity_associations"]]
    assert {(each["source_type"], each["destination_type"]) for each in linked} == {
        ("trace", "run"),
        ("evaluation_dataset", "experiment"),
    }
    for table in ("metrics", "inputs", "input_tags", "spans", "assessments", "logged_model_metrics", "datasets"):
        assert before[table] - after[table], f"the store had rows in {table} to remove"

    assert {path: files_before[path] for path in files_after} == files_after
    of_gone = {path for path in files_before if gone & set(path.split("/")) or path.split("/")[1:2] == [ids["gone"]]}
    assert {path for path in files_before if path not in files_after} == of_gone


def test_what_is_left_can_be_read_and_restored_through_mlflow(stack: Deployment, ids: dict[str, str]) -> None:
    read = f"""
import mlflow
from mlflow import MlflowClient
client = MlflowClient("http://127.0.0.1:5000")
mlflow.set_tracking_uri("http://127.0.0.1:5000")
client.restore_run({ids["fresh"]!r})
for run in {[ids["fresh"], ids["active"], ids["child of old"]]!r}:
    assert len(client.get_metric_history(run, "loss")) == 20
    assert client.get_run(run).inputs.dataset_inputs[0].dataset.name == "data"
    assert [each.path for each in client.list_artifacts(run, "files")] == ["files/a.txt"]
for name in ("gc-of-a-model", "gc-of-a-run", "gc-of-half"):
    version = client.get_model_version_by_alias(name, "best")
    assert mlflow.artifacts.list_artifacts(client.get_model_version_download_uri(name, version.version)), name
assert client.get_logged_model({ids["model of old"]!r}).params == {{"depth": "3"}}
trace = client.get_trace({ids["trace of old"]!r})
assert [span.name for span in trace.data.spans] == ["trace of old", "inner"]
assert [each.name for each in trace.info.assessments] == ["good"]
client.restore_experiment({ids["half"]!r})
"""
    stack.execute("mlflow", "python", "-c", read)


def test_what_a_killed_server_left_of_an_upload_goes_a_day_later(stack: Deployment, ids: dict[str, str]) -> None:
    """Of two, a day passes for one. Without gc, it is the doctor's remedy that removes it."""
    cut_short(stack, f"{ids['live']}/{ids['active']}/artifacts/large.bin")
    (fresh,) = uploading(stack)
    old = f"{fresh}-another"
    stack.execute("mlflow", "cp", fresh, old)
    assert checks(stack)["uploads"]["state"] == "ok", "it may still be going on"
    stack.execute("mlflow", "touch", "-d", "25 hours ago", old)
    found = expect_problems(stack, {"uploads": "warning"})
    assert "1 files of interrupted uploads use 0 MiB" in found["uploads"]["seen"]
    assert "removed 1 files of " in collect(stack)
    assert uploading(stack) == [fresh]
    stack.execute("mlflow", "touch", "-d", "25 hours ago", fresh)
    subprocess.run(checks(stack)["uploads"]["mend"], shell=True, check=True)
    assert uploading(stack) == []
    wait_until_healthy(stack)


def cut_short(stack: Deployment, artifact: str) -> None:
    """Kill the server in the middle of an upload."""
    head = f"PUT /api/2.0/mlflow-artifacts/artifacts/{artifact} HTTP/1.1\r\nHost: localhost\r\n"
    with socket.create_connection(("127.0.0.1", int(stack.settings["mlflowPort"]))) as client:
        client.sendall(f"{head}Content-Length: 9000000\r\n\r\n".encode() + bytes(100_000))
        wait_for(lambda: bool(uploading(stack)), "the upload has begun")
        stack.container("mlflow").kill()
    stack.container("mlflow").start()
    wait_for(stack.answers, "the server is there again")


def uploading(stack: Deployment) -> list[str]:
    return sorted(stack.execute("gc", "find", "/mlartifacts", "-name", ".artifact.uploading.*").split())


def test_the_service_has_no_way_out_and_no_more_than_it_needs(stack: Deployment) -> None:
    container = stack.container("gc")
    assert set(container.attrs["NetworkSettings"]["Networks"]) == {f"{stack.prefix}-database"}
    assert stack.execute("gc", "id", "-u").strip() == "65534"
    assert stack.execute("gc", "stat", "-c", "%a %u", "/run/secrets/pgpass").strip() == "400 65534"


def test_when_it_is_switched_off_it_is_gone_and_the_plan_is_stable(stack: Deployment) -> None:
    stack.preview_unchanged()
    stack.configure(gcAfterDays=0)
    stack.up()
    assert not {name for name in stack.objects()["containers"] if name.startswith(f"{stack.prefix}-gc")}
    wait_until_healthy(stack)

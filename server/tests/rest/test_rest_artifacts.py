"""Artifacts of a run: list. Both sides read one folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import quote

import pytest
from mlflow.server import handlers
from mlflow.server.constants import ARTIFACTS_DESTINATION_ENV_VAR, SERVE_ARTIFACTS_ENV_VAR

from .sides import Request, Sides
from .test_rest_runs import new

LIST = "/api/2.0/mlflow/artifacts/list"
SECRET = "secret.txt"
"""A file beside the destination, and one of another run."""


@pytest.fixture(scope="module")
def destination(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Of a server with `--serve-artifacts --artifacts-destination`."""
    folder = tmp_path_factory.mktemp("artifacts") / "destination"
    other = folder / "0" / "other" / "artifacts"
    other.mkdir(parents=True)
    for each in (folder.parent, other):
        (each / SECRET).touch()
    settings = {ARTIFACTS_DESTINATION_ENV_VAR: str(folder), SERVE_ARTIFACTS_ENV_VAR: "true"}
    with mock.patch.dict(os.environ, settings), mock.patch.object(handlers, "_artifact_repo", None):
        yield folder


class Run:
    """A run with files, of which some are unusual."""

    def __init__(self, sides: Sides, destination: Path) -> None:
        self.id = new(sides)
        root = sides.ask(Request("GET", "/api/2.0/mlflow/runs/get", query={"run_id": self.id})).body
        self.uri: str = root["run"]["info"]["artifact_uri"]
        self.folder = destination / self.uri.removeprefix("mlflow-artifacts:/")
        for name in (
            *("model/MLmodel", "model/data/weights.bin", "a b/c.txt", "名前/é.txt", "per%cent/x", "%2e%2e/x"),
            *("plus+/x", "a#b/x", "q?r/x", "..dots/x", "...", 'quote".txt', "new\nline/x", "\x7f/x", "back\\slash/x"),
            *("-", "~/x", ".hidden/x", ".artifact.uploading.half", "file:/x", "semi;colon/x"),
        ):
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text("x" * (len(name) % 5))
        (self.folder / "empty").mkdir()

    def listed(self, path: str | None = None, **more: Any) -> Request:
        return Request("GET", LIST, query={"run_id": self.id} | ({} if path is None else {"path": path}) | more)


@pytest.fixture(scope="module")
def run(sides: Sides, destination: Path) -> Run:
    return Run(sides, destination)


INSIDE = [
    *(None, "", "model", "model/", "model/data", "model//data", "./model", ".", "model/.", "a b", "名前", "nowhere"),
    *("model/MLmodel", "-", "empty", "plus+", "..dots", "...", ".hidden", "q?r", "~", "semi;colon", "back\\slash"),
    *("per%cent", "per%25cent", "%6dodel", "model%2fdata", "new\nline", "\x7f", "x" * 200, "model/" * 50),
]
"""Paths whose folder MLflow lists, also if there is none."""
OUTSIDE = [
    *("..", "../", "../..", "../../..", "model/..", "model/../..", "./..", "../../other/artifacts", "/", "//", "/etc"),
    *("%2e%2e", "%2E%2e/%2e%2E", "..%2f..", "%2e%2e%2f%2e%2e", "%252e%252e", "model%2f..%2f..", "%2fetc", "%252fetc"),
    *("file:///etc", "file:/etc", "file://localhost/etc", "file:../..", "FILE:///etc", "C:\\", "\\\\host\\share"),
    *("..\\..", "..;/..", "a#b", "a#/../..", "?/../..", "model?/../..", "//host/../..", "http://host/../../.."),
    *("..\n", "\n/../..", "..\u2215..", "\uff0e\uff0e", "%c0%ae%c0%ae", "%uff0e%uff0e", "%" + "25" * 12 + "2e"),
]
"""What an attacker tries."""


@pytest.mark.parametrize("path", INSIDE)
def test_a_folder_is_listed_as_mlflow_does(sides: Sides, run: Run, path: str | None) -> None:
    assert sides.is_served(run.listed(path))


def test_a_folder_has_its_files(sides: Sides, run: Run) -> None:
    """What the comparison would not notice if no folder were found."""
    answer = sides.ask(run.listed("model")).body
    assert answer["root_uri"] == run.uri
    assert [each["path"] for each in answer["files"]] == ["model/MLmodel", "model/data"]
    assert "files" not in sides.ask(run.listed("empty")).body


@pytest.mark.parametrize("path", OUTSIDE)
@pytest.mark.parametrize("times", [0, 1, 2])
def test_no_path_leads_out_of_the_run(sides: Sides, run: Run, path: str, times: int) -> None:
    """The query quotes it once more."""
    for _ in range(times):
        path = quote(path, safe="")
    assert SECRET not in str(sides.ask(run.listed(path)).body)


def test_a_link_is_followed_as_mlflow_does(sides: Sides, destination: Path) -> None:
    """Whoever made one has been on the server."""
    run = Run(sides, destination)
    for name, target in (
        *(("out", destination.parent), ("root", Path("/")), ("up", Path("../../../.."))),
        *(("other", destination / "0" / "other" / "artifacts"), ("in", run.folder / "model"), ("loop", Path("loop"))),
    ):
        (run.folder / name).symlink_to(target)
    for name in ("out", "root", "up", "out/destination", "loop", "loop/x"):
        assert SECRET not in str(sides.ask(run.listed(name)).body)
    for name in ("other", "in", "in/data"):
        assert sides.is_served(run.listed(name))
    # MLflow asks for the size of a link that leads nowhere.
    assert not sides.is_served(run.listed())


def test_names_that_are_no_text_are_mlflows(sides: Sides, destination: Path) -> None:
    run = Run(sides, destination)
    os.close(os.open(os.fsencode(run.folder / "empty") + b"/\xff", os.O_CREAT))
    assert not sides.is_served(run.listed("empty"))


def test_what_a_query_may_say(sides: Sides, run: Run) -> None:
    assert sides.is_served(run.listed("model", run_uuid=run.id))
    for prefix in ("/api/2.0/mlflow", "/ajax-api/2.0/mlflow"):
        assert sides.is_served(Request("GET", f"{prefix}/artifacts/list", query=run.listed("model").query))
    for text in (
        *("", "path=model", "run_id=nowhere", f"run_uuid={run.id}", f"run_id={run.id}&run_uuid=other"),
        *(f"run_id={run.id}&path=model&path=..", f"run_id={run.id}&page_token=x", f"run_id={run.id}&more=1"),
        *(f"run_id={run.id}&path=%00", f"run_id={run.id}&path=model%00/.."),
    ):
        assert not sides.is_served(Request("GET", LIST, query=text)), text
    assert not sides.is_served(Request("GET", LIST, {"run_id": run.id, "path": ".."}, query=run.listed().query))


def test_the_artifacts_of_a_deleted_run_are_listed(sides: Sides, destination: Path) -> None:
    run = Run(sides, destination)
    sides.ask(Request("POST", "/api/2.0/mlflow/runs/delete", {"run_id": run.id}))
    assert sides.is_served(run.listed("model"))


@pytest.mark.parametrize(
    ("uri", "is_served"),
    [
        ("mlflow-artifacts:/0/other/artifacts", True),
        ("mlflow-artifacts://host:5000/0/other/artifacts", True),
        ("http://host/api/2.0/mlflow-artifacts/artifacts/0/other/artifacts", True),
        ("mlflow-artifacts:/0/x/../other/artifacts", True),
        ("mlflow-artifacts:/", True),
        ("mlflow-artifacts:", True),
        ("mlflow-artifacts:/..", False),
        ("mlflow-artifacts:/../..", False),
        ("mlflow-artifacts:/a/../../..", False),
        ("http://host/elsewhere", False),
        ("/nowhere/at/all", False),
        ("file:///nowhere/at/all", False),
        ("", False),
    ],
)
def test_where_the_artifacts_of_a_run_are(sides: Sides, destination: Path, uri: str, is_served: bool) -> None:
    """A client may choose it with the experiment."""
    run = Run(sides, destination)
    sides.execute(f"UPDATE runs SET artifact_uri = '{uri}' WHERE run_uuid = '{run.id}'")
    assert sides.is_served(run.listed()) == is_served
    assert sides.is_served(run.listed("model")) == is_served
    sides.execute(f"UPDATE runs SET artifact_uri = NULL WHERE run_uuid = '{run.id}'")
    assert not sides.is_served(run.listed())


@pytest.mark.parametrize("column", ["user_id", "start_time", "experiment_id", "status", "lifecycle_stage"])
def test_mlflow_answers_for_a_run_that_lacks_a_column(sides: Sides, destination: Path, column: str) -> None:
    run = Run(sides, destination)
    sides.execute(f"UPDATE runs SET {column} = NULL WHERE run_uuid = '{run.id}'")
    assert not sides.is_served(run.listed())


def test_another_destination_is_mlflows(sides: Sides, destination: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(sides, destination)
    elsewhere = mock.Mock(list_artifacts=mock.Mock(return_value=[]))
    with mock.patch.object(handlers, "_artifact_repo", elsewhere):
        assert not sides.is_served(run.listed())
    monkeypatch.setenv(SERVE_ARTIFACTS_ENV_VAR, "false")
    sides.execute(f"UPDATE runs SET artifact_uri = '/nowhere' WHERE run_uuid = '{run.id}'")
    assert not sides.is_served(run.listed())

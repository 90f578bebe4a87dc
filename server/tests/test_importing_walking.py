"""What root reads of a folder of somebody else's: no link is followed, in whatever place it is."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlflow_postgres.errors import Failed, Refused
from mlflow_postgres.importing import artifact_plan, artifacts, assessment_times, folders, sources
from mlflow_postgres.importing.options import Options
from mlflow_postgres.importing.plans import Clash
from mlflow_postgres.importing.sources import copy_store
from mlflow_postgres.migration.programs import Outcome

SECRET = "hunter2"


def written(path: Path, text: str = "fine") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A folder that an experiment of somebody who would like to read it links to."""
    for name in ("passphrase", "run/artifacts/passphrase", "artifacts/passphrase"):
        written(tmp_path / "secrets" / name, SECRET)
    return tmp_path / "secrets"


def copied(folder: Path, number: int, volume: Path) -> int:
    """How many artifacts of an experiment are copied."""
    volume.mkdir()
    found = artifacts.find([(folder, number)], volume)
    artifacts.copy(found)
    return len(found.files)


def files(folder: Path) -> dict[str, str]:
    return {str(each.relative_to(folder)): each.read_text() for each in folder.rglob("*") if each.is_file()}


def test_regular_artifacts_are_copied_and_nothing_else(tmp_path: Path) -> None:
    names = ["run/artifacts/a", "run/artifacts/deep/b", "models/m/artifacts/c", "traces/t/artifacts/d"]
    for name in (
        *names,
        "run/meta.yaml",
        "run/metrics/loss",
        "models/m/meta.yaml",
        "run/artifacts/.artifact.uploading.a",
    ):
        written(tmp_path / "1" / name)
    assert copied(tmp_path / "1", 7, tmp_path / "volume") == 4
    assert files(tmp_path / "volume") == {f"7/{name}": "fine" for name in names}


@pytest.mark.parametrize("name", ["ü" * 127, "漢" * 84 + "abc", "x" * 255])
def test_a_name_that_is_as_long_as_one_may_be_is_copied(tmp_path: Path, name: str) -> None:
    assert 247 <= len(name.encode()) <= 255
    written(tmp_path / "1" / "run" / "artifacts" / name)
    assert copied(tmp_path / "1", 7, tmp_path / "volume") == 1
    assert files(tmp_path / "volume") == {f"7/run/artifacts/{name}": "fine"}


@pytest.mark.parametrize(("number", "said"), [(errno.ENOSPC, "more space"), (errno.ENAMETOOLONG, "a shorter name")])
def test_what_is_not_copied_is_named_with_what_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    written(tmp_path / "1" / "run" / "artifacts" / "a")

    def opened(_: Path) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(folders, "open_file", opened)
    with pytest.raises(Failed, match=f"the artifact 'a' was not copied: .*; nothing was changed. Mend it with: {said}"):
        copied(tmp_path / "1", 7, tmp_path / "volume")


@pytest.mark.parametrize(
    ("link", "to"),
    [
        ("run/artifacts/x", "passphrase"),
        ("run/artifacts/x", "."),
        ("run/artifacts", "."),
        ("run2", "run"),
        ("models", "."),
        ("traces/t", "run"),
    ],
)
def test_a_link_is_left_behind_and_said(
    tmp_path: Path, secret: Path, capsys: pytest.CaptureFixture[str], link: str, to: str
) -> None:
    written(tmp_path / "1" / "other" / "artifacts" / "a")
    (tmp_path / "1" / link).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "1" / link).symlink_to(secret / to)
    copied(tmp_path / "1", 7, tmp_path / "volume")
    assert files(tmp_path / "volume") == {"7/other/artifacts/a": "fine"}
    assert f"'{link}' is a symbolic link: not imported" in capsys.readouterr().out


def test_what_is_no_file_is_left_behind_and_not_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipe = tmp_path / "1" / "run" / "artifacts" / "pipe"
    pipe.parent.mkdir(parents=True)
    os.mkfifo(pipe)
    assert copied(tmp_path / "1", 7, tmp_path / "volume") == 0
    assert "'run/artifacts/pipe' is not a regular file: not imported" in capsys.readouterr().out
    with pytest.raises(OSError, match="not a regular file"):
        folders.open_file(pipe)


def test_a_link_that_is_put_there_later_is_not_followed_either(tmp_path: Path, secret: Path) -> None:
    (tmp_path / "run").symlink_to(secret / "run")
    (tmp_path / "file").symlink_to(secret / "passphrase")
    assert not folders.is_folder(tmp_path / "run")
    assert not folders.is_folder(tmp_path / "run" / "artifacts")
    assert folders.is_folder(secret)
    for path in (tmp_path / "file", tmp_path / "run" / "artifacts" / "passphrase", tmp_path / "." / ".." / "x"):
        with pytest.raises(OSError, match=r"."):
            folders.open_file(path)


def test_a_folder_that_becomes_a_link_on_the_way_is_left_behind(
    tmp_path: Path, secret: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "1" / "run").mkdir(parents=True)
    found = []
    for parts, _ in folders.walk(tmp_path / "1", lambda _: True):
        found.append(parts)
        (tmp_path / "1" / "run").rmdir()
        (tmp_path / "1" / "run").symlink_to(secret)
    assert found == [("run",)]
    assert "'run' is no longer a folder" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["mlflow.db", "mlflow.db-wal", "mlflow.db-journal"])
def test_a_file_store_that_is_a_link_is_not_read(tmp_path: Path, secret: Path, name: str) -> None:
    store = tmp_path / "store"
    written(store / "mlflow.db", "SQLite format 3\0")
    (store / name).unlink(missing_ok=True)
    (store / name).symlink_to(secret / "passphrase")
    with pytest.raises((OSError, Refused), match=r"link"):
        copy_store(store / "mlflow.db", tmp_path / "scratch")


def test_mlflow_converts_a_copy_without_links_and_is_not_root(
    tmp_path: Path, secret: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "mlruns"
    for name in ("1/meta.yaml", "1/run/meta.yaml", "1/tags/artifacts/x", "1/traces/t/trace_info.yaml"):
        written(store / name)
    (store / "1" / "run" / "metrics").mkdir()
    for name in ("1/run/artifacts/large", ".trash/2/run/artifacts/large", "1/models/m/artifacts/large"):
        written(store / name)
    (store / "1" / "run" / "tags").symlink_to(secret)
    (store / "3").symlink_to(secret)
    given: list[Path] = []
    root: list[str] = []

    @contextmanager
    def reading() -> Iterator[None]:
        root.append("root")
        yield
        root.pop()

    def python(command: list[str], _: int) -> Outcome:
        assert root == []
        given.append(Path(command[command.index("--source") + 1]))
        return Outcome(True, "", "")

    monkeypatch.setattr(sources, "python", python)
    monkeypatch.setattr(sources, "reading", reading)
    monkeypatch.setattr(assessment_times, "restore", lambda *_: None)
    copy_store(store, tmp_path / "scratch")
    assert given == [tmp_path / "scratch" / "store"]
    assert set(files(given[0])) == {
        "1/meta.yaml",
        "1/run/meta.yaml",
        "1/tags/artifacts/x",
        "1/traces/t/trace_info.yaml",
    }
    assert (given[0] / "1" / "run" / "metrics").is_dir()
    assert "'1/run/tags' is a symbolic link" in (said := capsys.readouterr().out)
    assert "'3' is a symbolic link" in said


def test_artifacts_are_known_by_where_they_are_in_a_store() -> None:
    inside = [".trash/2/run/artifacts", "1/run/artifacts/a", "1/models/m/artifacts", "1/traces/t/artifacts"]
    assert all(artifacts.is_artifact_path(tuple(each.split("/"))) for each in inside)
    outside = [
        "artifacts",
        "1",
        "1/run",
        "1/tags/artifacts",
        "1/run/tags/artifacts",
        "models/m/tags/artifacts",
        ".trash",
    ]
    assert not any(artifacts.is_artifact_path(tuple(each.split("/"))) for each in outside)


def test_only_folders_that_are_there_get_another_address(
    tmp_path: Path, secret: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path / "1" / "run" / "artifacts" / "a")
    (tmp_path / "2").symlink_to(secret)
    server = "mlflow-artifacts://host:5000/4"
    locations = {1: "/old/1", 2: "/old/2", 3: "/old/3", 4: server, 5: "mlflow-artifacts:/5"}
    copy: Any = sqlite3.connect(":memory:")
    copy.execute("CREATE TABLE experiments (experiment_id, artifact_location, workspace, name)")
    copy.executemany("INSERT INTO experiments VALUES (?, ?, '', '')", locations.items())
    options = Options(
        store=tmp_path,
        source_name="",
        clash=Clash.RENAME,
        dry_run=False,
        artifact_folders={f"/old/{number}": tmp_path / str(number) for number in (1, 2, 3)},
    )
    with closing(copy):
        moves = artifact_plan.plan_moves(copy, {old: old + 10 for old in locations}, options)
    addresses = moves.addresses
    assert [addresses.translate(each) for each in locations.values()] == [
        *("mlflow-artifacts:/11", "/old/2", "/old/3", server, "mlflow-artifacts:/15")
    ]
    assert moves.folders == [(tmp_path / "1", 11)]
    said = capsys.readouterr().out
    assert "'/old/2' is no longer a folder, or is a symbolic link" in said
    assert "'/old/3' is no longer a folder, or is a symbolic link" in said


@pytest.mark.parametrize("filled", ["runs", "trace_info", "logged_models", None])
def test_what_an_old_server_may_have_is_not_left_there_without_a_word(
    capsys: pytest.CaptureFixture[str], filled: str | None
) -> None:
    with closing(sqlite3.connect(":memory:")) as copy:
        copy.execute("CREATE TABLE experiments (experiment_id, name, artifact_location)")
        copy.execute("INSERT INTO experiments VALUES (1, 'mine', 'mlflow-artifacts:/1')")
        for table in ("runs", "trace_info", "logged_models"):
            copy.execute(f"CREATE TABLE {table} (experiment_id)")
        if filled:
            copy.execute(f"INSERT INTO {filled} VALUES (1)")
        options = Options(store=Path("/source"), source_name="", clash=Clash.REFUSE, dry_run=False, artifact_folders={})
        known = [
            replace(options, empty_locations={"mlflow-artifacts:/1"}),
            replace(options, artifact_folders={"mlflow-artifacts:/1": Path()}),
        ]
        for each in known if filled else [options, *known]:
            artifact_plan.report_uncopied(copy, each)
        assert capsys.readouterr().out == ""
        if filled:
            said = r"the old server has the artifacts of 1 experiment\(s\), such as 'mine' \(mlflow-artifacts:/1\)"
            with pytest.raises(Refused, match=f"{said}.*nothing was changed. Mend it with: IMPORT=.--artifacts-from"):
                artifact_plan.report_uncopied(copy, options)
            for each in (replace(options, leave_artifacts=True), replace(options, dry_run=True)):
                artifact_plan.report_uncopied(copy, each)
                assert "the old server has the artifacts of" in capsys.readouterr().out

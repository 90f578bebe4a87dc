"""`ops import`: the container's command and mounts, and the output."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from contract.errors import UserError
from ops import __main__ as ops
from ops import databases, importing, schema_job
from ops.sources import Source

from .fake_docker import FakeContainer, FakeDocker, labels
from .old_stores import database

SAID = [
    "waiting for another schema job",
    json.dumps({"plan": {"runs": 2}, "clashes": [], "clash": "refuse"}),
    json.dumps({"phase": "write", "table": "runs", "rows": 2, "of": 2}),
    json.dumps({"done": 2, "file": "import-1.json in the volume backups"}),
]


class Importing:
    """The command on a fake engine."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        networks = ["mlflow-postgres-dev-database"]
        self.job = FakeContainer(
            "mlflow-postgres-dev-schema", labels=labels("schema", kind="task"), status="exited", networks=networks
        )
        self.server = FakeContainer("server", labels=labels("mlflow", kind="service"))
        self.server.attrs["Mounts"] = [{"Type": "volume", "Name": "the-artifacts", "Destination": "/mlartifacts"}]
        self.database = FakeContainer("database", labels=labels("postgres", kind="service"))
        self.containers = [self.job, self.server, self.database]
        self.answer = (0, "\n".join(SAID) + "\n")
        self.engine = FakeDocker()
        self.store = folder / "mlflow.db"
        with closing(sqlite3.connect(self.store)) as connection:
            connection.execute("CREATE TABLE experiments (artifact_location)")
            connection.execute("INSERT INTO experiments VALUES (?)", (f"{folder}/mlruns/1",))
            connection.commit()
        self.located: dict[str, Any] = {}
        create = schema_job.create

        def created(*arguments: Any, host_paths: dict[Path, str], **changes: Any) -> Any:
            # The file is gone when the command has ended.
            (file,) = (path for path, target in host_paths.items() if target == "/locations.json")
            self.located = json.loads(file.read_text())
            return create(*arguments, host_paths=host_paths, **changes)

        monkeypatch.setattr(schema_job, "create", created)

    def run(self, *options: str) -> int:
        self.engine = FakeDocker(containers=self.containers, answers={"import-runs": self.answer})
        code = ops.main(["import", "--stack", "dev", *options], self.engine.connect)
        assert all(each.done == ["start", "remove by force: True"] for each in self.engine.api.made)
        return code


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Importing:
    return Importing(monkeypatch, tmp_path)


def test_the_store_is_mounted_read_only_in_a_container_like_the_job(command: Importing) -> None:
    folder = command.store.parent
    (folder / "mlruns" / "1").mkdir(parents=True)
    assert command.run(str(command.store), "--clash", "rename") == 0
    (made,) = command.engine.api.configurations
    assert made["Image"] == command.job.attrs["Image"]
    assert made["Cmd"] == [
        *("import-runs", "--shown", str(command.store), "--clash", "rename", "--locations", "/locations.json"),
        *("--file", "mlflow.db"),
    ]
    assert command.located == {"places": {f"{folder}/mlruns/1": "/source/mlruns/1"}, "empty": []}
    host = made["HostConfig"]
    assert host["NetworkMode"] == "mlflow-postgres-dev-database"
    *mounts, locations = host["Mounts"]
    assert (locations["Target"], locations["ReadOnly"]) == ("/locations.json", True)
    assert mounts == [
        {"Type": "volume", "Source": "the-artifacts", "Target": "/mlartifacts"},
        {"Type": "bind", "Source": str(folder), "Target": "/source", "ReadOnly": True},
    ]
    assert host["CapAdd"] == ["DAC_READ_SEARCH", "SETUID", "SETGID"], "it may read, and write nothing"
    marks = {key: made["Labels"][f"mlflow-postgres.{key}"] for key in ("role", "kind", "by", "changes")}
    assert marks == {"role": "import", "kind": "helper", "by": "import", "changes": "true"}, "an up waits for it"


def test_the_users_file_is_mounted(command: Importing, tmp_path: Path) -> None:
    beside = database(command.store.with_name("basic_auth.db"))
    elsewhere = database(tmp_path.with_name(f"{tmp_path.name}-users") / "users.db")
    for file, seen in ((beside, "/source/basic_auth.db"), (elsewhere, "/users/users.db")):
        assert command.run(str(command.store), "--users", str(file)) == 0
        (made,) = command.engine.api.configurations
        assert made["Cmd"][made["Cmd"].index("--users") + 1] == seen
    mounts = made["HostConfig"]["Mounts"]
    assert {"Type": "bind", "Source": str(elsewhere.parent), "Target": "/users", "ReadOnly": True} in mounts


def test_rows_of_a_database_are_mounted_as_a_file(command: Importing, monkeypatch: pytest.MonkeyPatch) -> None:
    def rows_of(_: str, folder: Path, __: object) -> Source:
        return Source(path=database(folder / "rows.db", "./mlruns/1"), shown="postgresql://u@h/d", rows_only=True)

    monkeypatch.setattr(databases, "rows_of", rows_of)
    assert command.run("postgresql://u:secret@h/d") == 0
    (made,) = command.engine.api.configurations
    assert made["Cmd"] == [
        *("import-runs", "--shown", "postgresql://u@h/d", "--clash", "refuse", "--locations", "/locations.json"),
        *("--file", "rows.db", "--rows-only"),
    ]
    assert "secret" not in json.dumps(made)
    assert command.run("postgresql://u:secret@h/d", "--users", "postgresql://u:secret@h/d") == 0
    (made,) = command.engine.api.configurations
    assert made["Cmd"][-4:] == ["--rows-only", "--users", "/source/rows.db", "--users-rows-only"]
    assert command.run("postgresql://u:secret@h/d", "--users", "postgresql://u:secret@h/users") == 0
    (made,) = command.engine.api.configurations
    assert made["Cmd"][-4:] == ["--rows-only", "--users", "/users/rows.db", "--users-rows-only"]
    (folder,) = (Path(each["Source"]) for each in made["HostConfig"]["Mounts"] if each["Target"] == "/source")
    assert not folder.exists()


def test_the_container_of_a_killed_import_is_removed(command: Importing) -> None:
    left = FakeContainer("left", labels=labels("import", kind="helper"), status="exited", health=None)
    command.containers.append(left)
    assert command.run(str(command.store)) == 0
    assert left.done == ["stop within 10", "remove by force: True"], "with its copy of the store"


def test_an_interrupted_import_reports_whether_it_was_committed() -> None:
    class Stopped(FakeContainer):
        def logs(self, *, stream: bool = False, tail: str | int = "all", **more: object) -> Any:
            if more.get("follow"):
                raise KeyboardInterrupt
            return super().logs(stream=stream, tail=tail, **more)

    for word, said in (("plan", "nothing was changed"), ("committing", "is not known"), ("committed", "was committed")):
        container = Stopped("stopped", labels=labels("import"), exit_code=137, said=json.dumps({word: True}))
        runtime = FakeDocker(containers=[container]).connect()
        (found,) = runtime.containers("mlflow-postgres-dev")
        with pytest.raises(UserError, match=said):
            importing._follow(runtime, found, lambda _: None)
        assert container.done == ["start", "stop within 0"]


def test_only_named_folders_are_mounted_beside_the_store(
    command: Importing, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command.store.unlink()
    data, gone = tmp_path / "data", tmp_path / "gone" / "3"
    for number in (1, 2):
        (data / "runs" / str(number)).mkdir(parents=True)
    command.store = database(tmp_path / "store" / "mlflow.db", f"{data}/runs/1", f"{data}/runs/2", str(gone))
    assert command.run(str(command.store)) == 0
    (made,) = command.engine.api.configurations
    assert command.located["places"] == {}
    assert [each["Source"] for each in made["HostConfig"]["Mounts"][:-1]] == ["the-artifacts", str(tmp_path / "store")]
    outside, missing, *_ = capsys.readouterr().out.splitlines()
    assert outside.startswith("2 artifact location(s) outside of the store's folder stay where they are, such as ")
    assert outside.endswith('make import IMPORT="--artifacts-from PATH"')
    assert missing == (
        "1 artifact location(s) are not folders of this machine, or contain '..': their addresses are unchanged, such "
        f"as {gone}"
    )
    allowed = ("--artifacts-from", f"{data}/runs/2", "--artifacts-from", str(data / "runs"))
    assert command.run(*allowed, str(command.store)) == 0
    (made,) = command.engine.api.configurations
    assert command.located["places"] == {f"{data}/runs/1": "/places/1/1", f"{data}/runs/2": "/places/0"}
    mounted = {each["Target"]: each["Source"] for each in made["HostConfig"]["Mounts"]}
    assert (mounted["/places/0"], mounted["/places/1"]) == (f"{data}/runs/2", f"{data}/runs")


def test_artifacts_can_only_be_copied_from_a_folder(command: Importing, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run("--artifacts-from", "/no/such", str(command.store)) == 1
    assert capsys.readouterr().err.startswith(
        "ops import: [artifacts-not-a-folder] /no/such is not a folder. Mend it with: make import"
    )


def test_the_options_leave_and_dry_run_are_passed_on(command: Importing) -> None:
    (command.store.parent / "mlruns" / "1").mkdir(parents=True)
    assert command.run(f"sqlite:///{command.store}", "--artifacts", "leave", "--dry-run") == 0
    (made,) = command.engine.api.configurations
    assert made["Cmd"][-2:] == ["--dry-run", "--leave-artifacts"]
    assert command.located == {"places": {}, "empty": []}


def test_the_locations_of_many_experiments_are_passed_in_a_file(command: Importing, tmp_path: Path) -> None:
    locations = [f"{tmp_path}/data/{number:0200}" for number in range(20_000)]
    command.store.unlink()
    (tmp_path / "data").mkdir()
    database(command.store, *locations)
    assert command.run(str(command.store)) == 0
    (made,) = command.engine.api.configurations
    assert sum(map(len, made["Cmd"])) < 1_000
    assert sorted(command.located["empty"]) == locations


def test_missing_artifacts_that_must_be_copied_are_refused(
    command: Importing, capsys: pytest.CaptureFixture[str]
) -> None:
    command.store.unlink()
    with closing(sqlite3.connect(command.store)) as connection:
        connection.execute("CREATE TABLE experiments (artifact_location)")
    assert command.run(str(command.store), "--artifacts", "copy") == 1
    assert "none of the artifact locations" in capsys.readouterr().err
    assert command.engine.api.made == []


@pytest.mark.parametrize("role", ["postgres", "mlflow"])
def test_a_stack_that_is_not_up_is_refused(command: Importing, capsys: pytest.CaptureFixture[str], role: str) -> None:
    broken = command.database if role == "postgres" else command.server
    broken.attrs["State"]["Status"] = "exited"
    assert command.run(str(command.store)) == 1
    assert capsys.readouterr().err == (
        f"ops import: [service-not-running] {role} of the stack dev does not run. Mend it with: make up STACK=dev\n"
    )
    command.containers = []
    assert command.run(str(command.store)) == 1
    assert "the stack dev is not up. Mend it with: make up STACK=dev" in capsys.readouterr().err


def test_an_import_without_a_source_is_refused(command: Importing, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run("") == 1
    assert "SOURCE is empty" in capsys.readouterr().err


def test_a_refusal_is_the_last_line_of_the_container(command: Importing, capsys: pytest.CaptureFixture[str]) -> None:
    error = {"code": "already-imported", "problem": "it is \x1bhere; nothing was changed", "remedy": "skip"}
    command.answer = (64, f"{json.dumps(error)}\nimport: the same once more\n")
    assert command.run(str(command.store)) == 1
    printed = "ops import: [already-imported] it is ?here; nothing was changed. Mend it with: skip\n"
    assert capsys.readouterr().err == printed


def test_a_program_that_cannot_begin_is_told_by_its_last_line(
    command: Importing, capsys: pytest.CaptureFixture[str]
) -> None:
    command.answer = (1, "Traceback\nPermissionError: setuid\n")
    assert command.run(str(command.store)) == 1
    assert capsys.readouterr().err == "ops import: [import-failed] PermissionError: setuid\n"


def test_a_killed_import_reports_that_nothing_was_changed(
    command: Importing, capsys: pytest.CaptureFixture[str]
) -> None:
    command.answer = (137, "")
    assert command.run(str(command.store)) == 1
    assert "was interrupted with exit code 137; nothing was changed" in capsys.readouterr().err


@pytest.mark.parametrize("code", [1, 137])
def test_a_committed_import_is_never_called_unchanged(
    command: Importing, capsys: pytest.CaptureFixture[str], code: int
) -> None:
    said = [json.dumps({"committing": True}), json.dumps({"committed": True}), "import: nothing was changed"]
    command.answer = (code, "\n".join(said))
    assert command.run(str(command.store)) == 1
    assert capsys.readouterr().err == (
        "ops import: [import-committed] the import was committed and is complete; "
        f"a later step ended with exit code {code}\n"
    )


def test_an_import_killed_during_its_commit_is_unknown(command: Importing, capsys: pytest.CaptureFixture[str]) -> None:
    command.answer = (137, json.dumps({"committing": True}))
    assert command.run(str(command.store)) == 1
    said = capsys.readouterr().err
    assert "it is not known whether it was committed. Mend it with: the same import again, which reports it" in said
    assert "nothing was changed" not in said


def test_an_import_that_failed_during_its_commit_reports_the_outcome(
    command: Importing, capsys: pytest.CaptureFixture[str]
) -> None:
    error = {"code": "engine-disk-full", "problem": "the disk is full; nothing was changed", "remedy": ""}
    command.answer = (1, json.dumps({"committing": True}) + "\n" + json.dumps(error))
    assert command.run(str(command.store)) == 1
    assert capsys.readouterr().err == "ops import: [engine-disk-full] the disk is full; nothing was changed\n"


def test_events_are_lines_where_there_is_no_terminal(command: Importing, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run("--artifacts", "leave", str(command.store)) == 0
    assert capsys.readouterr().out.splitlines() == [
        "waiting for another schema job",
        "runs             2 rows",
        "wrote runs: 2",
        "imported 2 rows; the comparison is in import-1.json in the volume backups",
    ]


def test_a_line_in_several_chunks_is_joined() -> None:
    assert list(importing._lines(iter([b"a\nb", b"c\n\xc3", b"\xa4"]))) == ["a", "bc", "ä"]

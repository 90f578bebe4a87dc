"""`ops rollback`: which dump it restores, which services it stops, and what is left when it fails."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from ops import __main__ as ops
from ops import rollback

from .fake_docker import FakeContainer, FakeDocker, labels

MADE = {
    **{"created": "2026-01-01", "from_revision": "old", "to_revision": "new"},
    **{"database": "mlflow", "sha256": ""},
}

# Newest first, as the job lists them.
BEFORE_RESTORE = {"name": "before-rollback-4", "from_version": "3.17.2", "to_version": "3.16.0", **MADE, "size": 4}
UPGRADE = {"name": "d3", "from_version": "3.16.0", "to_version": "3.17.2", **MADE, "size": 3}
OLDER = {"name": "d2", "from_version": "3.15.0", "to_version": "3.16.0", **MADE, "size": 2}
SILENT = {"name": "d1", "from_version": None, "to_version": None, **MADE, "size": 1}
DUMPS = [BEFORE_RESTORE, UPGRADE, OLDER, SILENT]


class GoingBack:
    """`ops rollback` with Pulumi and the engine replaced, and its actions in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, project: Path) -> None:
        self.happened: list[str] = []
        self.up_ends = 0
        self.server = self._container("server", labels("mlflow", kind="service"))
        courier = FakeContainer("courier", labels=labels("mlflow-courier", kind="courier"), status="created")
        said = {"alembic_version": "new\n", "mlflow_postgres.versions": "3.17.2\n"}
        self.database = FakeContainer("database", labels=labels("postgres", kind="service"), prints=said)
        networks = ["mlflow-postgres-dev-database"]
        self.job = FakeContainer(
            "mlflow-postgres-dev-schema", labels=labels("schema", kind="task"), status="exited", networks=networks
        )
        self.containers: Iterable[FakeContainer] = [self.server, courier, self.database, self.job]
        self.answers: dict[str, tuple[int, str]] = {"dumps": (0, json.dumps(DUMPS)), "restore": (0, "put back\n")}
        self.engine = FakeDocker()
        locks = project / "images" / "mlflow" / "locks"
        locks.mkdir(parents=True)
        for version in ("3.17.2", "3.16.0", "3.15.0", "3.14.0"):
            (locks / f"{version}.txt").touch()
        monkeypatch.setattr(rollback, "PROJECT", project)
        monkeypatch.setattr(rollback, "pulumi", lambda *arguments: self.happened.append(" ".join(arguments)))
        monkeypatch.setattr("ops.rollback.subprocess.run", self._up)

    def run(self, *options: str) -> int:
        self.engine = FakeDocker(containers=self.containers, answers=self.answers)
        code = ops.main(["rollback", "--stack", "dev", *options], self.engine.connect)
        assert self.engine.closed
        assert [each.done for each in self.engine.api.made] == [["start", "remove by force: True"]] * self.runs, (
            "what is left would be an orphan"
        )
        return code

    @property
    def runs(self) -> int:
        return len(self.engine.api.configurations)

    @property
    def restored(self) -> list[str]:
        """The restored dumps."""
        commands = [each["Cmd"] for each in self.engine.api.configurations]
        return [dump for command, *dumps in commands if command == "restore" for dump in dumps]

    def _container(self, name: str, marks: dict[str, str]) -> FakeContainer:
        container = FakeContainer(name, labels=marks)
        container.done = self.happened
        return container

    def _up(self, command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        assert command[0].endswith("bin/pulumi"), "with the state and the passphrase of this project"
        self.happened.append(" ".join(command[1:]))
        return subprocess.CompletedProcess(command, self.up_ends)


@pytest.fixture
def back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> GoingBack:
    return GoingBack(monkeypatch, tmp_path)


UP = "up --yes --skip-preview --non-interactive --stack dev"


def config(version: str) -> str:
    return f"config set mlflowVersion {version} --stack dev"


def test_the_newest_dump_of_an_upgrade_is_restored_with_its_version(
    back: GoingBack, capsys: pytest.CaptureFixture[str]
) -> None:
    assert back.run() == 0
    assert back.restored == ["d3"], "the newest of all was made by a rollback, and would undo it"
    assert back.happened == ["stop within 30", config("3.16.0"), UP]
    assert back.database.done == [], "the dump is put back through it"
    assert capsys.readouterr().out.splitlines() == [
        "restoring d3 (2026-01-01), of MLflow 3.16.0",
        "put back",
    ]


def test_after_a_failed_upgrade_a_rollback_is_refused(back: GoingBack, capsys: pytest.CaptureFixture[str]) -> None:
    back.database.prints["alembic_version"] = "old\n"
    assert back.run() == 1
    told = capsys.readouterr().err
    assert "the schema from before the upgrade to MLflow 3.17.2: a rollback is not needed" in told
    assert "bin/pulumi config set mlflowVersion 3.16.0" in told
    assert (back.restored, back.happened) == ([], []), "what was logged since the dump would be gone"
    assert back.run("--dump", "d3") == 0


def test_an_upgrade_that_failed_after_its_migration_can_be_rolled_back(back: GoingBack) -> None:
    back.database.prints["mlflow_postgres.versions"] = "3.16.0\n"
    assert back.run() == 0
    assert back.restored == ["d3"]


def test_a_rollback_over_a_later_upgrade_must_name_its_dump(
    back: GoingBack, capsys: pytest.CaptureFixture[str]
) -> None:
    back.database.prints["mlflow_postgres.versions"] = "3.18.0\n"
    assert back.run() == 1
    assert "is from before MLflow 3.17.2, and MLflow 3.18.0 has run since" in capsys.readouterr().err
    assert (back.restored, back.happened) == ([], []), "months would be gone"


def test_the_job_runs_again_after_a_restore(back: GoingBack) -> None:
    back.run()
    assert back.job.done == ["stop within 10", "remove by force: True"], (
        "the administrator and the keys are those of the dump"
    )


def test_another_dump_may_be_chosen(back: GoingBack) -> None:
    assert back.run("--dump", "d2") == 0
    assert back.restored == ["d2"]
    assert back.happened[-2:] == [config("3.15.0"), UP]


def test_a_dump_without_a_version_needs_the_option_to(back: GoingBack, capsys: pytest.CaptureFixture[str]) -> None:
    assert back.run("--dump", "d1") == 1
    assert capsys.readouterr().err == (
        "ops rollback: [dump-without-version] the dump d1 does not say which version of MLflow worked on it. "
        "Mend it with: python -m ops rollback --stack dev --dump d1 --to VERSION\n"
    )
    assert (back.restored, back.happened) == ([], [])
    assert back.run("--dump", "d1", "--to", "3.14.0") == 0
    assert back.restored == ["d1"]
    assert back.happened[-2:] == [config("3.14.0"), UP]


def test_a_version_without_a_lock_file_is_refused_before_a_restore(
    back: GoingBack, capsys: pytest.CaptureFixture[str]
) -> None:
    assert back.run("--to", "9.9.9") == 1
    told = capsys.readouterr().err
    assert "9.9.9" in told
    assert "make lock MLFLOW=9.9.9" in told
    assert (back.restored, back.happened) == ([], []), "the data would be back under a server that never comes up"


@pytest.mark.parametrize(
    ("dumps", "options", "words"),
    [
        (DUMPS, ["--dump", "d9"], "there is no dump d9 to go back to; there are: before-rollback-4, d3, d2, d1"),
        ([BEFORE_RESTORE], [], "there is no dump of an upgrade to go back to; there are: before-rollback-4"),
        ([], [], "there is no dump of an upgrade to go back to; there are: none"),
    ],
)
def test_without_a_dump_a_rollback_is_refused(
    back: GoingBack,
    capsys: pytest.CaptureFixture[str],
    dumps: list[dict[str, Any]],
    options: list[str],
    words: str,
) -> None:
    back.answers["dumps"] = (0, json.dumps(dumps))
    assert back.run(*options) == 1
    assert capsys.readouterr().err == f"ops rollback: [dump-missing] {words}\n"
    assert (back.restored, back.happened) == ([], [])


def test_the_list_of_dumps_changes_nothing(back: GoingBack, capsys: pytest.CaptureFixture[str]) -> None:
    assert back.run("--list") == 0
    assert capsys.readouterr().out.splitlines() == [
        "before-rollback-4  MLflow 3.17.2  4 bytes",
        "d3  MLflow 3.16.0  3 bytes",
        "d2  MLflow 3.15.0  2 bytes",
        "d1  MLflow unknown  1 bytes",
    ]
    assert (back.restored, back.happened) == ([], [])


def test_after_a_failed_restore_the_server_runs_again(back: GoingBack, capsys: pytest.CaptureFixture[str]) -> None:
    back.answers["restore"] = (1, "".join(f"line {number}\n" for number in range(9)))
    assert back.run() == 1
    assert back.happened == ["stop within 30", "start"], "neither the setting nor the stack is changed"
    assert capsys.readouterr().err == "ops rollback: [job-failed] line 4\nline 5\nline 6\nline 7\nline 8\n"


def test_a_failed_job_without_a_log_shows_its_exit_code(back: GoingBack, capsys: pytest.CaptureFixture[str]) -> None:
    back.answers["dumps"] = (137, "")
    assert back.run() == 1
    assert capsys.readouterr().err == "ops rollback: [job-failed] dumps ended with exit code 137\n"
    assert back.happened == []


def test_if_the_old_version_does_not_come_up_the_message_says_what_is_restored(
    back: GoingBack, capsys: pytest.CaptureFixture[str]
) -> None:
    back.up_ends = 255
    assert back.run() == 1
    assert capsys.readouterr().err == (
        "ops rollback: [rollback-not-up] the database is restored, but MLflow 3.16.0 did not come up. "
        "Mend it with: make up STACK=dev\n"
    )


def test_without_a_schema_job_a_rollback_is_refused(back: GoingBack, capsys: pytest.CaptureFixture[str]) -> None:
    back.containers = [back.server]
    assert back.run() == 1
    assert (
        capsys.readouterr().err
        == "ops rollback: [stack-not-up] the stack dev is not up. Mend it with: make up STACK=dev\n"
    )


def test_the_restore_runs_in_a_container_like_the_job(back: GoingBack) -> None:
    back.run()
    assert [each["Cmd"] for each in back.engine.api.configurations] == [["dumps"], ["restore", "d3"]]
    for configuration in back.engine.api.configurations:
        host = configuration["HostConfig"]
        assert configuration["Image"] == "sha256:mlflow-postgres-dev-schema", (
            "by its id: a tag may have come to mean another"
        )
        assert configuration["Labels"]["mlflow-postgres.kind"] == "helper", "or an up would take it for an orphan"
        assert configuration["Labels"]["mlflow-postgres.by"] == "rollback"
        assert host == {"NetworkMode": "mlflow-postgres-dev-database", "ReadonlyRootfs": True}

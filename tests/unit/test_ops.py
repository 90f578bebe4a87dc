"""The commands beside `pulumi up`, on a fake Docker engine: what they remove, keep and print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from docker.errors import NotFound
from urllib3.exceptions import ProtocolError

from contract.errors import UserError
from ops import __main__ as ops
from ops import psql, stack
from ops.docker_runtime import DockerRuntime
from preflight.engine import EngineError

from .fake_docker import FakeContainer, FakeDocker, FakeNetwork, FakeVolume, labels

VOLUMES = [
    FakeVolume("mlflow-postgres-dev-postgres-data", labels=labels("postgres-data")),
    FakeVolume("mlflow-postgres-dev-mlflow-artifacts", labels=labels("mlflow-artifacts")),
    FakeVolume("theirs", labels=labels("postgres-data", stack="mlflow-postgres-other")),
]


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The state folder of a new user."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for name in ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "mlflow-postgres"
    folder.mkdir()
    return folder


def test_forget_removes_containers_and_networks_and_keeps_volumes(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = FakeContainer("ours", labels=labels("postgres", deployment="another-life"), stop_timeout=120)
    theirs = FakeContainer("theirs", labels=labels("postgres", stack="mlflow-postgres-other"))
    wire = FakeNetwork("wire", labels=labels("tracking"))
    engine = FakeDocker(containers=[ours, theirs], networks=[wire], volumes=VOLUMES)
    assert ops.main(["forget", "--stack", "dev"], engine.connect) == 0
    assert (ours.done, theirs.done, wire.done) == (["stop within 120", "remove by force: True"], [], ["remove"])
    assert engine.closed
    assert list(home.iterdir()) == []
    assert capsys.readouterr().out.splitlines() == [
        "removed the container ours",
        "removed the network wire",
        "kept the volume mlflow-postgres-dev-postgres-data",
        "kept the volume mlflow-postgres-dev-mlflow-artifacts",
    ]


@pytest.mark.parametrize(
    "passphrase",
    [
        None,
        "",
    ],
    ids=["gone", "empty"],
)
def test_forget_renames_a_state_without_its_passphrase(home: Path, passphrase: str | None) -> None:
    (home / ".pulumi").mkdir()
    (home / ".pulumi" / "state").touch()
    if passphrase is not None:
        (home / "passphrase").write_text(passphrase)
    assert ops.main(["forget", "--stack", "dev"], FakeDocker().connect) == 0
    assert not (home / ".pulumi").exists(), "bin/pulumi would refuse every further command"
    (aside,) = home.glob(".pulumi.unreadable-*")
    assert (aside / "state").exists(), "put aside, not deleted: the passphrase may be in a backup"


def test_forget_keeps_a_state_with_its_passphrase(home: Path) -> None:
    (home / ".pulumi").mkdir()
    (home / "passphrase").write_text("ours")
    assert ops.main(["forget", "--stack", "dev"], FakeDocker().connect) == 0
    assert (home / ".pulumi").exists()


def test_forget_keeps_a_state_with_the_users_own_passphrase(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    (home / ".pulumi").mkdir()
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "theirs")
    assert ops.main(["forget", "--stack", "dev"], FakeDocker().connect) == 0
    assert (home / ".pulumi").exists()


def test_kept_names_the_volumes_of_the_stack_and_how_to_delete_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert ops.main(["kept", "--stack", "dev"], FakeDocker(volumes=VOLUMES).connect) == 0
    names = ["mlflow-postgres-dev-mlflow-artifacts", "mlflow-postgres-dev-postgres-data"]
    assert capsys.readouterr().out == (
        f"kept the volumes with every run, for the next `make up`: {', '.join(names)}\n"
        f"to delete them and every run in them: docker volume rm {' '.join(names)}\n"
    )


def test_without_volumes_kept_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert ops.main(["kept", "--stack", "dev"], FakeDocker().connect) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("command", ["forget", "kept", "logs", "explain", "rollback"])
def test_an_engine_that_is_missing_is_one_line_on_standard_error(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    def missing() -> DockerRuntime:
        raise EngineError("engine-not-running", "no Docker engine answers")

    assert ops.main([command, "--stack", "dev"], missing) == 1
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"ops {command}: [engine-not-running] no Docker engine answers\n")


@pytest.mark.parametrize("name", ["it", "organization/mlflow-postgres/it"])
def test_the_outputs_of_a_stack_that_is_not_up_are_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(stack, "pulumi", lambda *_: "{}")
    with pytest.raises(UserError, match=rf"^the stack {name} is not up\. Mend it with: make up STACK=it$"):
        stack.outputs(name)


def test_the_outputs_are_read_without_their_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def pulumi(*arguments: str) -> str:
        asked.append(arguments)
        return json.dumps({"tracking_url": "http://here"})

    monkeypatch.setattr(stack, "pulumi", pulumi)
    assert stack.outputs("it") == {"tracking_url": "http://here"}
    assert asked == [("stack", "output", "--json", "--stack", "it")], "--show-secrets would put the password on a pipe"


@pytest.mark.parametrize("script", ["echo no such stack >&2", "echo no such stack"])
def test_an_error_of_pulumi_has_pulumis_message(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "pulumi").write_text(f"#!/bin/sh\n{script}\nexit 255\n")
    (tmp_path / "bin" / "pulumi").chmod(0o755)
    monkeypatch.setattr(stack, "PROJECT", tmp_path)
    with pytest.raises(UserError, match=r"^`pulumi stack` failed: no such stack$"):
        stack.pulumi("stack", "export")


def test_a_stack_is_found_on_the_engine_by_the_last_part_of_its_name() -> None:
    assert {stack.prefix(name) for name in ("it", "organization/mlflow-postgres/it")} == {"mlflow-postgres-it"}


@pytest.mark.parametrize("name", ["it", "organization/mlflow-postgres/it"])
def test_psql_uses_the_engine_of_all_other_commands(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    database = FakeContainer("database", labels=labels("postgres", stack="mlflow-postgres-it"))
    became: list[list[str]] = []
    monkeypatch.setenv("DOCKER_HOST", "tcp://engine.example:2375")
    monkeypatch.setattr(psql, "outputs", lambda _: {"postgres_user": "u", "postgres_database": "d"})
    monkeypatch.setattr("ops.psql.shutil.which", lambda _: "/bin/docker")
    monkeypatch.setattr("ops.psql.os.execv", lambda _, words: became.append(words))
    assert ops.main(["psql", "--stack", name], FakeDocker(containers=[database]).connect) == 0
    ((client, *words),) = became
    assert client == "/bin/docker"
    assert words[:2] == ["--host", "tcp://engine.example:2375"], "its client follows a context, which may be another"
    assert words[-5:] == ["psql", "--username", "u", "--dbname", "d"]


def test_a_full_disk_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def full() -> DockerRuntime:
        raise OSError(28, "No space left on device", "/tmp/copy")

    assert ops.main(["kept", "--stack", "dev"], full) == 1
    assert capsys.readouterr().err == "ops kept: /tmp/copy: No space left on device\n"


class Failing(FakeContainer):
    """A container whose log cannot be read."""

    trouble: Exception = NotFound("No such container")

    def logs(self, **_: object) -> Any:
        raise self.trouble


def test_an_engine_that_stops_while_logs_are_read_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    removed, broken = (Failing(name, labels=labels("mlflow")) for name in ("removed", "broken"))
    assert ops.main(["logs", "--stack", "dev"], FakeDocker(containers=[removed]).connect) == 0
    broken.trouble = ProtocolError("Connection broken")
    assert ops.main(["logs", "--stack", "dev"], FakeDocker(containers=[removed, broken]).connect) == 1
    assert capsys.readouterr().err == (
        "ops logs: [engine-failed] the Docker engine at unix:///var/run/docker.sock failed: Connection broken. "
        "Mend it with: docker info, which shows what is wrong with it\n"
    )

"""The commands on an engine that is not Docker: a second engine is a second implementation of the runtime."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from contract import labels, roles
from contract.labels import DEPLOYMENT, HELPER, KIND, ROLE, SERVICE, STACK, TASK
from ops import __main__ as ops
from ops import schema_job
from ops.runtime import Container, Network, Result, Runtime, TaskLike

PREFIX = "mlflow-postgres-dev"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def container(role: str, kind: str = SERVICE, *, status: str = "running", exit_code: int = 0) -> Container:
    name = f"{PREFIX}-{role}"
    return Container(
        id=f"{name}-id",
        name=name,
        labels={STACK: PREFIX, ROLE: role, KIND: kind, DEPLOYMENT: "this-life"},
        created=NOW,
        status=status,
        health="healthy",
        exit_code=exit_code,
        restarts=0,
        volumes={},
    )


class ToyRuntime:
    """An engine in a few lists."""

    def __init__(self, *containers: Container, log: bytes = b"") -> None:
        self.objects: list[Container] = [*containers]
        self.nets = [Network(id="net-id", name=f"{PREFIX}-tracking", labels={STACK: PREFIX}, created=NOW)]
        self.log = log
        self.tasks: list[TaskLike] = []
        self.calls: list[tuple[object, ...]] = []

    def identity(self) -> str:
        return "toy"

    def version(self) -> str:
        return "Toy 1"

    def now(self) -> datetime:
        return NOW

    def containers(self, prefix: str) -> list[Container]:
        return [each for each in self.objects if each.labels[STACK] == prefix]

    def networks(self, prefix: str) -> list[Network]:
        return [each for each in self.nets if each.labels[STACK] == prefix]

    def volumes(self, prefix: str) -> list[str]:
        return [f"{prefix}-postgres-data"]

    def members(self, network: Network) -> Mapping[str, str]:
        raise NotImplementedError

    def execute(self, container: Container, command: Sequence[str], environment: Mapping[str, str]) -> Result:
        raise NotImplementedError

    def logs(
        self,
        container: Container,
        *,
        tail: int | None = None,
        follow: bool = False,
        output: bool = True,
        errors: bool = True,
    ) -> Iterator[bytes]:
        self.calls.append(("logs", container.role, tail, follow, output, errors))
        yield self.log

    def create(self, task: TaskLike, like: Container) -> Container:
        self.tasks.append(task)
        self.calls.append(("create", like.role))
        return container(task.labels[ROLE], HELPER)

    def start(self, container: Container) -> None: ...

    def stop(self, container: Container, seconds: int) -> None: ...

    def wait(self, container: Container) -> int:
        self.calls.append(("wait", container.role))
        return 0

    def remove(self, container: Container) -> None:
        self.objects.remove(container)

    def discard(self, container: Container) -> None: ...

    def remove_network(self, network: Network) -> None:
        self.nets.remove(network)

    def digest(self, image: str) -> str:
        raise NotImplementedError

    def close(self) -> None: ...


def run(runtime: Runtime, *arguments: str) -> int:
    return ops.main([*arguments, "--stack", "dev"], lambda: runtime)


def test_its_volumes_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(ToyRuntime(), "kept") == 0
    assert f"docker volume rm {PREFIX}-postgres-data" in capsys.readouterr().out


def test_its_logs_are_printed_by_role(capsys: pytest.CaptureFixture[str]) -> None:
    runtime = ToyRuntime(container(roles.MLFLOW), log=b"ready\n")
    assert run(runtime, "logs") == 0
    assert runtime.calls == [("logs", "mlflow", 200, False, True, True)]
    assert capsys.readouterr().out == "mlflow   ready\n"


def test_a_failed_task_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    job = container(roles.SCHEMA, TASK, status="exited", exit_code=3)
    assert run(ToyRuntime(container(roles.MLFLOW), job, log=b"no connection\n"), "explain") == 1
    assert "schema   no connection" in capsys.readouterr().out


def test_a_lost_stack_is_forgotten(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    runtime = ToyRuntime(container(roles.MLFLOW), container(roles.POSTGRES))
    assert run(runtime, "forget") == 0
    assert (runtime.objects, runtime.nets) == ([], [])


def test_a_helper_runs_like_the_schema_job() -> None:
    job = container(roles.SCHEMA, TASK, status="exited")
    runtime = ToyRuntime(job, log=b"[]")
    assert schema_job.run(runtime, schema_job.find(runtime, "dev"), "dumps", command="rollback") == "[]"
    (task,) = runtime.tasks
    assert runtime.calls == [("create", "schema"), ("wait", "dumps"), ("logs", "dumps", None, False, True, False)]
    assert task.name.startswith(f"{PREFIX}-dumps-")
    assert (task.labels[labels.KIND], task.labels[labels.COMMAND]) == (HELPER, "rollback")

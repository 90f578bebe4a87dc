"""The containers that are healthy after `up`, those that are waited for, and those that are removed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from docker.models.containers import ExecResult

from contract import roles
from ops.readiness import ensure_ready, wait_for_recovery

from .fake_docker import FakeContainer, FakeDocker, labels

GONE = ["remove by force: True"]


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The stack's settings. They are read only when a container is not healthy."""
    settings = {each.setting: "on" for each in roles.OPTIONAL.values()}
    monkeypatch.setattr("ops.readiness.configuration", lambda _: settings)
    return settings


@pytest.fixture(autouse=True)
def _no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A needless wait fails at once, instead of taking minutes."""

    def wait(_: float) -> None:
        raise AssertionError("this test must not wait")

    monkeypatch.setattr("ops.readiness.time.sleep", wait)


def service(name: str = "server", role: str = "mlflow", **state: Any) -> FakeContainer:
    return FakeContainer(name, labels=labels(role, kind="service"), **state)


def task(**state: Any) -> FakeContainer:
    return FakeContainer("job", labels=labels("schema", kind="task"), health=None, **state)


def courier(**state: Any) -> FakeContainer:
    return FakeContainer("courier", labels=labels("schema-courier", kind="courier"), health=None, **state)


WELL: dict[str, Callable[[], FakeContainer]] = {
    "a service that is ready": lambda: service(),
    "a task that has succeeded": lambda: task(status="exited", exit_code=0),
    "a courier that never started": lambda: courier(status="created"),
    # What an older version of this project made says no kind, and was a service.
    "a service without a kind": lambda: FakeContainer("old", labels=labels("mlflow")),
}
UNWELL: dict[str, Callable[[], FakeContainer]] = {
    "a service that has ended": lambda: service(status="exited", health="unhealthy"),
    "a service that ended without an error": lambda: service(status="exited", exit_code=0, health="healthy"),
    "a service that fails": lambda: service(health="unhealthy"),
    "a service that was never started": lambda: service(status="created", health=None),
    "a service that starts again and again": lambda: service(health="starting", restarts=3),
    "a task that has failed": lambda: task(status="exited", exit_code=1),
    "a task that was killed": lambda: task(status="exited", exit_code=137),
    "a task that was never started": lambda: task(status="created"),
    "a courier that somebody started": lambda: courier(status="exited"),
}


@pytest.mark.parametrize("case", WELL)
def test_a_healthy_stack_is_unchanged(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    container = WELL[case]()
    ensure_ready(FakeDocker(containers=[container]).connect(), "dev")
    assert container.done == []
    assert capsys.readouterr().out == "", "a healthy `make up` is not the place for news"


@pytest.mark.parametrize("case", UNWELL)
def test_only_unhealthy_containers_are_removed(case: str) -> None:
    """The provider starts a stopped container without waiting, and does not touch a failed one."""
    container, well = UNWELL[case](), service("well", "postgres")
    ensure_ready(FakeDocker(containers=[container, well]).connect(), "dev")
    assert container.done[-1:] == GONE
    assert well.done == []


@pytest.mark.parametrize(
    ("container", "words"),
    [
        (task(status="exited", exit_code=3), "job is exited with exit code 3; it is created again"),
        (courier(status="exited"), "courier is exited; it is created again"),
        (service(health="unhealthy"), "server is running and unhealthy; it is created again"),
    ],
)
def test_a_removed_container_is_printed_with_its_condition(
    container: FakeContainer, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ensure_ready(FakeDocker(containers=[container]).connect(), "dev")
    assert capsys.readouterr().out == f"{words}\n"


def test_containers_of_another_stack_are_ignored() -> None:
    theirs = FakeContainer("theirs", labels=labels("mlflow", stack="mlflow-postgres-other"), status="exited")
    ensure_ready(FakeDocker(containers=[theirs]).connect(), "dev")
    assert theirs.done == []


class Starting(FakeContainer):
    """A service that becomes ready during the wait."""

    looks = 0

    @property
    def health(self) -> str:
        self.looks += 1
        return "starting" if self.looks < 5 else "healthy"


def test_containers_that_a_restarted_engine_starts_are_waited_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("ops.readiness.time.sleep", waits.append)
    server = Starting("server", labels=labels("mlflow", kind="service"))
    ensure_ready(FakeDocker(containers=[server]).connect(), "dev")
    assert server.done == [], "it is well"
    assert len(waits) > 1
    assert capsys.readouterr().out == "waiting for server to become ready\n", "said once: who waits unheard is killed"


def test_a_service_that_never_becomes_ready_is_waited_for_until_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.0, 601.0])
    monkeypatch.setattr("ops.readiness.time.monotonic", lambda: next(clock))
    monkeypatch.setattr("ops.readiness.time.sleep", lambda _: None)
    server = service(health="starting")
    ensure_ready(FakeDocker(containers=[server]).connect(), "dev")
    assert server.done == GONE


@pytest.mark.parametrize("off", ["", "false", "0", "{}"])
@pytest.mark.parametrize("role", [*roles.OPTIONAL, "exporter-courier"])
@pytest.mark.parametrize("health", ["starting", "unhealthy"])
def test_a_service_that_is_switched_off_is_neither_waited_for_nor_removed(
    settings: dict[str, str], capsys: pytest.CaptureFixture[str], role: str, health: str, off: str
) -> None:
    settings[roles.OPTIONAL[roles.served_by(role)].setting] = off
    container = service(role=role, health=health)
    ensure_ready(FakeDocker(containers=[container]).connect(), "dev")
    assert (container.done, capsys.readouterr().out) == ([], ""), "Pulumi removes it"


def test_the_settings_of_a_healthy_stack_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(_: str) -> dict[str, str]:
        raise AssertionError("it takes a second")

    monkeypatch.setattr("ops.readiness.configuration", asked)
    ensure_ready(FakeDocker(containers=[service()]).connect(), "dev")


class Recovering(FakeContainer):
    """A database that recovers from a crash during the first calls."""

    looks = 0
    crashes = False

    def exec_run(self, cmd: str | list[str], *_: object, demux: bool = False, **__: object) -> Any:
        assert (cmd[0], demux) == ("pg_isready", True)
        self.looks += 1
        self.attrs["RestartCount"] += self.crashes
        output: Any = (None, None)
        return ExecResult(exit_code=1 if self.looks < 2_000 else 0, output=output)


def recovering(health: str) -> Recovering:
    return Recovering("database", labels=labels("postgres", kind="service"), health=health, restarts=1)


@pytest.mark.parametrize("health", ["starting", "unhealthy"])
def test_a_recovering_database_is_waited_for_without_a_limit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], health: str
) -> None:
    now = 1_000.0

    def wait(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr("ops.readiness.time.sleep", wait)
    monkeypatch.setattr("ops.readiness.time.monotonic", lambda: now)
    database = recovering(health)
    wait_for_recovery(FakeDocker(containers=[database]).connect(), "mlflow-postgres-dev")
    assert (database.looks, database.done) == (2_000, []), "its recovery would begin anew"
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "waiting for database to take connections: it starts, or recovers from a crash"
    assert len(told) == 7, "said again now and then: who waits unheard is killed"


def test_a_database_that_crashes_again_and_again_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.readiness.time.sleep", lambda _: None)
    database = recovering("starting")
    database.crashes = True
    wait_for_recovery(FakeDocker(containers=[database]).connect(), "mlflow-postgres-dev")
    assert database.looks == 2


@pytest.mark.parametrize(
    "other",
    [service(role="mlflow", health="unhealthy"), service(role="postgres"), service(role="postgres", status="exited")],
)
def test_only_the_database_recovers(other: FakeContainer) -> None:
    wait_for_recovery(FakeDocker(containers=[other]).connect(), "mlflow-postgres-dev")

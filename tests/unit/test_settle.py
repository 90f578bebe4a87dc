"""Who is well after an `up`, who is waited for, and who is taken away so that the next run makes it anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ops import objects
from ops.settle import settle

from .fake_docker import FakeContainer, FakeDocker, labels

PREFIX = "mlflow-postgres-dev"
GONE = ["remove by force: True"]


@pytest.fixture(autouse=True)
def _no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is waited for without need is found at once, and not after the patience of a person."""

    def wait(_: float) -> None:
        raise AssertionError("there is nobody to wait for here")

    monkeypatch.setattr("ops.settle.time.sleep", wait)


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
def test_what_is_as_an_up_leaves_it_stays(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    container = WELL[case]()
    assert objects.is_well(container)
    settle(FakeDocker(containers=[container]), PREFIX)
    assert container.done == []
    assert capsys.readouterr().out == "", "a healthy `make up` is not the place for news"


@pytest.mark.parametrize("case", UNWELL)
def test_what_is_not_well_is_taken_away_and_nothing_else(case: str) -> None:
    """The provider starts a stopped container without waiting, and leaves one that failed as it is."""
    container, well = UNWELL[case](), service("well", "postgres")
    assert not objects.is_well(container)
    settle(FakeDocker(containers=[container, well]), PREFIX)
    assert container.done[-1:] == GONE
    assert well.done == []


@pytest.mark.parametrize(
    ("container", "words"),
    [
        (task(status="exited", exit_code=3), "job is exited with exit code 3; it is made anew"),
        (courier(status="exited"), "courier is exited; it is made anew"),
        (service(health="unhealthy"), "server is running and unhealthy; it is made anew"),
    ],
)
def test_what_is_taken_away_is_named_with_its_condition(
    container: FakeContainer, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settle(FakeDocker(containers=[container]), PREFIX)
    assert capsys.readouterr().out == f"{words}\n"


def test_another_stacks_containers_are_none_of_our_business() -> None:
    theirs = FakeContainer("theirs", labels=labels("mlflow", stack="mlflow-postgres-other"), status="exited")
    settle(FakeDocker(containers=[theirs]), PREFIX)
    assert theirs.done == []


class Starting(FakeContainer):
    """A service that becomes ready while it is waited for."""

    looks = 0

    @property
    def health(self) -> str:
        self.looks += 1
        return "starting" if self.looks < 5 else "healthy"


def test_what_a_restarted_engine_is_starting_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("ops.settle.time.sleep", waits.append)
    server = Starting("server", labels=labels("mlflow", kind="service"))
    settle(FakeDocker(containers=[server]), PREFIX)
    assert server.done == [], "it is well"
    assert len(waits) > 1
    assert capsys.readouterr().out == "waiting for server to become ready\n", "said once: who waits unheard is killed"


def test_what_never_becomes_ready_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.0, 601.0])
    monkeypatch.setattr("ops.settle.time.monotonic", lambda: next(clock))
    monkeypatch.setattr("ops.settle.time.sleep", lambda _: None)
    server = service(health="starting")
    settle(FakeDocker(containers=[server]), PREFIX)
    assert server.done == GONE

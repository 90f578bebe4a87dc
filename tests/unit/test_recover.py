"""Mending what an interrupted run left: its lock, its pending operations, its orphans. Data is never touched."""

from __future__ import annotations

import argparse
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from ops import recover
from ops.stack import StackError

from .fake_docker import FakeContainer, FakeDocker, FakeNetwork, FakeVolume, labels

MARK = {
    "type": "random:index/randomId:RandomId",
    "urn": "urn:pulumi:dev::mlflow-postgres::random:index/randomId:RandomId::mlflow-postgres-deployment",
    "id": "AAAA",
    "outputs": {"hex": "this-life"},
}
STACK = {"type": "pulumi:pulumi:Stack", "urn": "urn:pulumi:dev::mlflow-postgres::pulumi:pulumi:Stack::it"}


class Mending:
    """`ops recover` with Pulumi and the engine replaced; what Pulumi was told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, state_folder: Path) -> None:
        self.told: list[tuple[tuple[str, ...], str | None]] = []
        self.state: dict[str, Any] = {"version": 3, "deployment": {"resources": [STACK, MARK]}}
        self.told_before_reading: int | None = None
        self.engine = FakeDocker()
        self.locks = state_folder / ".pulumi" / "locks" / "organization" / "mlflow-postgres" / "dev"
        self.locks.mkdir(parents=True)
        monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{state_folder}")
        monkeypatch.setattr(recover, "pulumi", self._pulumi)
        monkeypatch.setattr(recover, "export", self._export)
        monkeypatch.setattr(recover, "open_engine", lambda: self.engine)

    def run(self, stack: str = "dev", *, before: str = "refresh") -> None:
        try:
            recover.run(argparse.Namespace(stack=stack, before=before))
        finally:
            assert self.engine.closed

    def _export(self, _: str) -> dict[str, Any]:
        self.told_before_reading = len(self.told)
        return self.state

    def _pulumi(self, *arguments: str, text: str | None = None) -> str:
        self.told.append((arguments, text))
        return ""


def leave_lock(folder: Path, host: str | None = None) -> None:
    """A lock of a process that is dead: Linux gives out no number as high as this one."""
    lock = {"pid": 2**22 + 1, "hostname": host or socket.gethostname()}
    (folder / "left.json").write_text(json.dumps(lock))


@pytest.fixture
def mending(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Mending:
    return Mending(monkeypatch, tmp_path)


def test_where_nothing_is_broken_nothing_is_done(mending: Mending, capsys: pytest.CaptureFixture[str]) -> None:
    mending.run()
    assert mending.told == []
    assert capsys.readouterr().out == "", "a healthy `make up` is not the place for news"


def test_the_lock_of_a_killed_run_is_released_before_the_state_is_read(
    mending: Mending, capsys: pytest.CaptureFixture[str]
) -> None:
    leave_lock(mending.locks)
    mending.run()
    assert mending.told == [(("cancel", "--yes", "--stack", "dev"), None)]
    assert mending.told_before_reading == 1, "a locked state may be in the middle of a change"
    assert capsys.readouterr().out == "recovered: released the lock of a run that was killed\n"


def test_the_lock_of_another_machine_is_not_cancelled(mending: Mending) -> None:
    leave_lock(mending.locks, host="elsewhere.example")
    mending.run()
    assert mending.told == []


def test_the_lock_of_another_stack_is_not_cancelled(mending: Mending) -> None:
    other = mending.locks.parent / "other"
    other.mkdir()
    leave_lock(other)
    mending.run()
    assert mending.told == []


def test_pending_operations_are_dropped_and_the_rest_of_the_state_is_kept(
    mending: Mending, capsys: pytest.CaptureFixture[str]
) -> None:
    mending.state["deployment"]["pending_operations"] = [{"type": "creating"}, {"type": "creating"}]
    mending.run()
    ((arguments, text),) = mending.told
    assert arguments == ("stack", "import", "--stack", "dev")
    assert text is not None
    assert json.loads(text) == {"version": 3, "deployment": {"resources": [STACK, MARK]}}
    assert capsys.readouterr().out == "recovered: 2 operation(s) of the killed run were cut short\n"


def test_an_orphan_of_this_life_is_stopped_as_it_wants_and_removed(
    mending: Mending, capsys: pytest.CaptureFixture[str]
) -> None:
    orphan = FakeContainer("orphan", labels=labels("postgres"), stop_timeout=120)
    mending.engine = FakeDocker(containers=[orphan])
    mending.run()
    assert orphan.done == ["stop within 120", "remove by force: True"], "a killed database costs a recovery"
    assert capsys.readouterr().out == "recovered: removed the container orphan, which a killed run had made\n"


def test_an_orphan_that_never_was_ready_is_not_waited_for(mending: Mending) -> None:
    orphan = FakeContainer("orphan", labels=labels("postgres"), stop_timeout=120, health="starting")
    mending.engine = FakeDocker(containers=[orphan])
    mending.run()
    assert orphan.done == ["remove by force: True"], "it has accepted nothing that could be lost"


def test_an_orphaned_network_is_left_by_everybody_and_removed(
    mending: Mending, capsys: pytest.CaptureFixture[str]
) -> None:
    guest = FakeContainer("guest")
    orphan = FakeNetwork("orphan", labels=labels("tracking"), joined=[guest])
    mending.engine = FakeDocker(containers=[guest], networks=[orphan])
    mending.run()
    assert orphan.done == ["disconnect guest by force: True", "remove"]
    assert guest.done == []
    assert capsys.readouterr().out == "recovered: removed the network orphan, which a killed run had made\n"


def test_what_the_state_knows_stays(mending: Mending) -> None:
    container = FakeContainer("known", labels=labels("postgres"))
    network = FakeNetwork("wire", labels=labels("tracking"))
    mending.engine = FakeDocker(containers=[container], networks=[network])
    mending.state["deployment"]["resources"] += [
        {"type": "docker:index/container:Container", "urn": "urn:one", "id": container.id},
        {"type": "docker:index/network:Network", "urn": "urn:two", "id": network.id},
    ]
    mending.run()
    assert (container.done, network.done) == ([], [])


def test_what_another_stack_made_stays(mending: Mending) -> None:
    other = FakeContainer("other", labels=labels("postgres", stack="mlflow-postgres-other"))
    unmarked = FakeContainer("unmarked")
    mending.engine = FakeDocker(containers=[other, unmarked])
    mending.run()
    assert (other.done, unmarked.done) == ([], [])


def test_an_orphan_that_is_gone_by_itself_is_no_trouble(mending: Mending) -> None:
    orphan = FakeContainer("orphan", labels=labels("mlflow"), gone=True)
    mending.engine = FakeDocker(containers=[orphan])
    mending.run()
    assert orphan.done == []


def test_volumes_are_never_touched(mending: Mending) -> None:
    mending.engine = FakeDocker(
        containers=[FakeContainer("orphan", labels=labels("postgres"), volumes=["data"])],
        volumes=[FakeVolume("data", labels=labels("postgres-data"))],
    )
    mending.run()


@pytest.mark.parametrize("stack", ["dev", "organization/mlflow-postgres/dev"])
def test_what_another_state_made_under_our_name_is_refused_and_nothing_is_removed(mending: Mending, stack: str) -> None:
    ours = FakeContainer("ours", labels=labels("mlflow"))
    foreign = FakeContainer("foreign", labels=labels("postgres", deployment="another-life"))
    mending.engine = FakeDocker(containers=[ours, foreign])
    with pytest.raises(StackError) as error:
        mending.run(stack)
    assert str(error.value) == (
        f"foreign runs under the name of the stack {stack}, but this state did not make it: it belongs to another "
        "checkout or user of this Docker engine, or to a state that was lost. Take that stack down where it was made "
        "(make down), or, if its state is lost, mend it with: make forget STACK=dev (its containers go, its data stays)"
    )
    assert (ours.done, foreign.done) == ([], [])


@pytest.mark.parametrize("deployment", [{}, {"resources": None}, {"resources": [STACK]}], ids=str)
def test_a_state_that_made_nothing_yet_owns_nothing_on_the_engine(mending: Mending, deployment: dict[str, Any]) -> None:
    mending.state["deployment"] = deployment
    mending.run()
    mending.engine = FakeDocker(networks=[FakeNetwork("left", labels=labels("tracking"))])
    with pytest.raises(StackError, match=r"^left runs under the name of the stack dev, but this state did not make it"):
        mending.run()


class Starting(FakeContainer):
    """A container that becomes ready while it is waited for."""

    looks = 0

    @property
    def health(self) -> str:
        self.looks += 1
        return "starting" if self.looks < 3 else "healthy"


def in_state(mending: Mending, *containers: FakeContainer) -> None:
    """Containers that the state knows."""
    resources = [{"type": "docker:x", "urn": "x", "id": container.id} for container in containers]
    mending.state["deployment"]["resources"] += resources
    mending.engine = FakeDocker(containers=list(containers))


@pytest.mark.parametrize(("before", "waits"), [("up", True), ("update", True), ("refresh", False), ("destroy", False)])
def test_an_up_waits_for_what_a_restarted_engine_is_starting(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    before: str,
    waits: bool,
) -> None:
    mending = Mending(monkeypatch, tmp_path)
    server = Starting("server", labels=labels("mlflow"))
    in_state(mending, server)
    monkeypatch.setattr("ops.settle.time.sleep", lambda _: None)
    mending.run(before=before)
    assert (server.looks >= 3) == waits
    assert ("waiting for server to become ready" in capsys.readouterr().out) == waits
    assert server.done == [], "it is well"


@pytest.mark.parametrize(("status", "health"), [("exited", "unhealthy"), ("running", "unhealthy"), ("created", "")])
def test_an_up_takes_away_what_is_not_well_so_that_it_is_made_anew_and_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, status: str, health: str
) -> None:
    """The provider starts a stopped container without waiting, and leaves one that failed as it is."""
    mending = Mending(monkeypatch, tmp_path)
    server = FakeContainer("server", labels=labels("mlflow"), health=health, status=status)
    well = FakeContainer("well", labels=labels("postgres"))
    in_state(mending, server, well)
    mending.run(before="up")
    assert server.done[-1:] == ["remove by force: True"]
    assert well.done == []


def test_a_destroy_names_the_guests_on_the_stacks_network_before_anything_goes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mending = Mending(monkeypatch, tmp_path)
    server, guest = FakeContainer("server", labels=labels("mlflow")), FakeContainer("guest")
    in_state(mending, server)
    network = FakeNetwork("wire", labels=labels("tracking"), joined=[server, guest])
    mending.state["deployment"]["resources"].append({"type": "docker:x", "urn": "y", "id": network.id})
    mending.engine = FakeDocker(containers=[server], networks=[network])
    with pytest.raises(StackError, match=r"^guest is on this stack's network wire.*docker rm --force guest"):
        mending.run(before="destroy")


def test_before_a_preview_the_engine_is_tried_and_nothing_is_changed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mending = Mending(monkeypatch, tmp_path)
    leave_lock(mending.locks)
    orphan = FakeContainer("orphan", labels=labels("postgres"))
    mending.engine = FakeDocker(containers=[orphan])
    mending.run(before="preview")
    assert (orphan.done, mending.told) == ([], [])

"""Recovery from an interrupted run: its lock, its pending operations, its orphans. Data is never touched."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from contract.errors import UserError
from ops import recover

from .fake_docker import FakeContainer, FakeDocker, FakeNetwork, FakeVolume, labels
from .recover_case import MARK, STACK, Recovery, in_state, leave_lock


@pytest.fixture(autouse=True)
def _no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A needless wait fails at once, instead of taking minutes."""

    def wait(_: float) -> None:
        raise AssertionError("this test must not wait")

    monkeypatch.setattr("time.sleep", wait)


@pytest.fixture
def recovery(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Recovery:
    return Recovery(monkeypatch, tmp_path)


def test_a_healthy_stack_is_not_recovered(recovery: Recovery, capsys: pytest.CaptureFixture[str]) -> None:
    recovery.run()
    assert recovery.calls == []
    assert capsys.readouterr().out == "", "a healthy `make up` is not the place for news"


def test_the_lock_of_a_killed_run_is_released_before_the_state_is_read(
    recovery: Recovery, capsys: pytest.CaptureFixture[str]
) -> None:
    leave_lock(recovery.locks)
    recovery.run()
    assert recovery.calls == [(("cancel", "--yes", "--stack", "dev"), None)]
    assert recovery.calls_before_export == 1, "a locked state may be in the middle of a change"
    assert capsys.readouterr().out == "recovered: released the lock of a run that was killed\n"


def test_while_another_machine_holds_the_lock_nothing_is_touched(recovery: Recovery) -> None:
    leave_lock(recovery.locks, host="elsewhere.example")
    fresh = FakeContainer("fresh", labels=labels("postgres", kind="service"))
    recovery.engine = FakeDocker(containers=[fresh])
    with pytest.raises(UserError, match=r"^another machine's run of Pulumi holds the stack dev: .*elsewhere\.example"):
        recovery.run()
    assert (recovery.calls, fresh.done) == ([], []), "that run may just have made it"


def test_the_lock_of_another_stack_is_not_cancelled(recovery: Recovery) -> None:
    other = recovery.locks.parent / "other"
    other.mkdir()
    leave_lock(other)
    recovery.run()
    assert recovery.calls == []


def test_pending_operations_are_dropped_and_the_rest_of_the_state_is_kept(
    recovery: Recovery, capsys: pytest.CaptureFixture[str]
) -> None:
    recovery.state["deployment"]["pending_operations"] = [{"type": "creating"}, {"type": "creating"}]
    recovery.run()
    ((arguments, text),) = recovery.calls
    assert arguments == ("stack", "import", "--stack", "dev")
    assert text is not None
    assert json.loads(text) == {"version": 3, "deployment": {"resources": [STACK, MARK]}}
    assert capsys.readouterr().out == "recovered: 2 operation(s) of the killed run were interrupted\n"


def test_an_orphan_of_this_deployment_is_stopped_and_removed(
    recovery: Recovery, capsys: pytest.CaptureFixture[str]
) -> None:
    orphan = FakeContainer("orphan", labels=labels("postgres"), stop_timeout=120)
    recovery.engine = FakeDocker(containers=[orphan])
    recovery.run()
    assert orphan.done == ["stop within 120", "remove by force: True"], "a killed database costs a recovery"
    assert capsys.readouterr().out == "recovered: removed the container orphan, which a killed run had made\n"


def test_an_orphan_that_was_never_ready_is_killed(recovery: Recovery) -> None:
    orphan = FakeContainer("orphan", labels=labels("postgres"), stop_timeout=120, health="starting")
    recovery.engine = FakeDocker(containers=[orphan])
    recovery.run()
    assert orphan.done == ["remove by force: True"], "it has accepted nothing that could be lost"


def test_an_orphaned_network_is_disconnected_and_removed(
    recovery: Recovery, capsys: pytest.CaptureFixture[str]
) -> None:
    guest = FakeContainer("guest")
    orphan = FakeNetwork("orphan", labels=labels("tracking"), joined=[guest])
    recovery.engine = FakeDocker(containers=[guest], networks=[orphan])
    recovery.run()
    assert orphan.done == ["disconnect guest by force: True", "remove"]
    assert guest.done == []
    assert capsys.readouterr().out == "recovered: removed the network orphan, which a killed run had made\n"


def test_objects_in_the_state_stay(recovery: Recovery) -> None:
    container = FakeContainer("known", labels=labels("postgres"))
    network = FakeNetwork("wire", labels=labels("tracking"))
    recovery.engine = FakeDocker(containers=[container], networks=[network])
    recovery.state["deployment"]["resources"] += [
        {"type": "docker:index/container:Container", "urn": "urn:one", "id": container.id},
        {"type": "docker:index/network:Network", "urn": "urn:two", "id": network.id},
    ]
    recovery.run()
    assert (container.done, network.done) == ([], [])


def test_objects_of_another_stack_stay(recovery: Recovery) -> None:
    other = FakeContainer("other", labels=labels("postgres", stack="mlflow-postgres-other"))
    unmarked = FakeContainer("unmarked")
    recovery.engine = FakeDocker(containers=[other, unmarked])
    recovery.run()
    assert (other.done, unmarked.done) == ([], [])


def test_an_orphan_that_disappears_is_no_error(recovery: Recovery) -> None:
    orphan = FakeContainer("orphan", labels=labels("mlflow"), gone=True)
    recovery.engine = FakeDocker(containers=[orphan])
    recovery.run()
    assert orphan.done == []


def test_volumes_are_never_touched(recovery: Recovery) -> None:
    recovery.engine = FakeDocker(
        containers=[FakeContainer("orphan", labels=labels("postgres"), volumes=["data"])],
        volumes=[FakeVolume("data", labels=labels("postgres-data"))],
    )
    recovery.run()


@pytest.mark.parametrize("stack", ["dev", "organization/mlflow-postgres/dev"])
def test_objects_of_another_state_are_refused_and_nothing_is_removed(recovery: Recovery, stack: str) -> None:
    ours = FakeContainer("ours", labels=labels("mlflow"))
    foreign = FakeContainer("foreign", labels=labels("postgres", deployment="another-life"))
    recovery.engine = FakeDocker(containers=[ours, foreign])
    with pytest.raises(UserError) as error:
        recovery.run(stack)
    assert str(error.value) == (
        f"foreign has the name of the stack {stack}, but this state did not create it: it belongs to another "
        "checkout or user of this Docker engine, or to a state that was lost: take that stack down where it was "
        "created (make down). If its state is lost, remove its containers; its data stays. Mend it with: make forget "
        "STACK=dev"
    )
    assert (ours.done, foreign.done) == ([], [])


@pytest.mark.parametrize("deployment", [{}, {"resources": None}, {"resources": [STACK]}], ids=str)
def test_an_empty_state_owns_no_objects(recovery: Recovery, deployment: dict[str, Any]) -> None:
    recovery.state["deployment"] = deployment
    recovery.run()
    recovery.engine = FakeDocker(networks=[FakeNetwork("left", labels=labels("tracking"))])
    with pytest.raises(UserError, match=r"^left has the name of the stack dev, but this state did not create it"):
        recovery.run()


@pytest.mark.parametrize(
    ("before", "settles"), [("up", True), ("update", True), ("refresh", False), ("destroy", False)]
)
def test_only_an_up_removes_unhealthy_containers(recovery: Recovery, before: str, settles: bool) -> None:
    server = FakeContainer("server", labels=labels("mlflow", kind="service"), status="exited")
    in_state(recovery, server)
    recovery.run(before=before)
    assert bool(server.done) is settles


PROTECTED = {"type": "docker:index/volume:Volume", "urn": "urn:data", "id": "data", "protect": True}


@pytest.mark.parametrize("stack", ["dev", "organization/mlflow-postgres/dev"])
def test_a_destroy_of_protected_data_is_refused_with_the_commands_that_allow_it(recovery: Recovery, stack: str) -> None:
    recovery.state["deployment"]["resources"].append(PROTECTED)
    recovery.state["deployment"]["pending_operations"] = [{"type": "creating"}]
    orphan = FakeContainer("orphan", labels=labels("mlflow", kind="service"))
    recovery.engine = FakeDocker(containers=[orphan])
    with pytest.raises(UserError) as error:
        recover.run(argparse.Namespace(stack=stack, before="destroy"), recovery.engine.connect)
    assert str(error.value) == (
        "protectData is true: the stack dev may not be destroyed; nothing was touched. Mend it with: "
        "bin/pulumi config set protectData false --stack dev, then make up STACK=dev"
    ), "Pulumi's own command would leave the setting, and the next up would protect the data again"
    assert (recovery.calls, orphan.done) == ([], [])


@pytest.mark.parametrize("before", ["up", "refresh", "preview"])
def test_protected_data_only_prevents_a_destroy(recovery: Recovery, before: str) -> None:
    recovery.state["deployment"]["resources"].append(PROTECTED)
    recovery.run(before=before)


def test_data_that_is_not_protected_may_be_destroyed(recovery: Recovery) -> None:
    recovery.state["deployment"]["resources"].append({**PROTECTED, "protect": False})
    recovery.run(before="destroy")


def test_a_destroy_is_refused_while_foreign_containers_use_the_network(recovery: Recovery) -> None:
    server, guest = FakeContainer("server", labels=labels("mlflow")), FakeContainer("guest")
    in_state(recovery, server)
    network = FakeNetwork("wire", labels=labels("tracking"), joined=[server, guest])
    recovery.state["deployment"]["resources"].append({"type": "docker:x", "urn": "y", "id": network.id})
    recovery.engine = FakeDocker(containers=[server], networks=[network])
    with pytest.raises(UserError, match=r"^guest is on this stack's network wire.*docker rm --force guest"):
        recovery.run(before="destroy")


def test_before_a_preview_only_the_engine_is_checked(recovery: Recovery) -> None:
    leave_lock(recovery.locks)
    orphan = FakeContainer("orphan", labels=labels("postgres"))
    recovery.engine = FakeDocker(containers=[orphan])
    recovery.run(before="preview")
    assert (orphan.done, recovery.calls) == ([], [])

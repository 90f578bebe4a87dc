"""Mending what an interrupted run left: its lock, its pending operations, its orphans. Data is never touched."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from contract.errors import UserError
from ops import recover

from .fake_docker import FakeContainer, FakeDocker, FakeNetwork, FakeVolume, labels
from .mending import MARK, STACK, Mending, in_state, leave_lock


@pytest.fixture(autouse=True)
def _no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is waited for without need is found at once, and not after the patience of a person."""

    def wait(_: float) -> None:
        raise AssertionError("there is nobody to wait for here")

    monkeypatch.setattr("time.sleep", wait)


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


def test_while_another_machine_holds_the_lock_nothing_is_touched(mending: Mending) -> None:
    leave_lock(mending.locks, host="elsewhere.example")
    fresh = FakeContainer("fresh", labels=labels("postgres", kind="service"))
    mending.engine = FakeDocker(containers=[fresh])
    with pytest.raises(UserError, match=r"^another machine's run of Pulumi holds the stack dev: .*elsewhere\.example"):
        mending.run()
    assert (mending.told, fresh.done) == ([], []), "that run may just have made it"


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
    with pytest.raises(UserError) as error:
        mending.run(stack)
    assert str(error.value) == (
        f"foreign runs under the name of the stack {stack}, but this state did not make it: it belongs to another "
        "checkout or user of this Docker engine, or to a state that was lost: take that stack down where it was made "
        "(make down). If its state is lost, its containers go and its data stays. Mend it with: make forget STACK=dev"
    )
    assert (ours.done, foreign.done) == ([], [])


@pytest.mark.parametrize("deployment", [{}, {"resources": None}, {"resources": [STACK]}], ids=str)
def test_a_state_that_made_nothing_yet_owns_nothing_on_the_engine(mending: Mending, deployment: dict[str, Any]) -> None:
    mending.state["deployment"] = deployment
    mending.run()
    mending.engine = FakeDocker(networks=[FakeNetwork("left", labels=labels("tracking"))])
    with pytest.raises(UserError, match=r"^left runs under the name of the stack dev, but this state did not make it"):
        mending.run()


@pytest.mark.parametrize(
    ("before", "settles"), [("up", True), ("update", True), ("refresh", False), ("destroy", False)]
)
def test_only_an_up_takes_away_what_is_not_well_so_that_it_is_made_anew(
    mending: Mending, before: str, settles: bool
) -> None:
    server = FakeContainer("server", labels=labels("mlflow", kind="service"), status="exited")
    in_state(mending, server)
    mending.run(before=before)
    assert bool(server.done) is settles


PROTECTED = {"type": "docker:index/volume:Volume", "urn": "urn:data", "id": "data", "protect": True}


@pytest.mark.parametrize("stack", ["dev", "organization/mlflow-postgres/dev"])
def test_a_destroy_of_protected_data_is_refused_with_the_commands_that_allow_it(mending: Mending, stack: str) -> None:
    mending.state["deployment"]["resources"].append(PROTECTED)
    mending.state["deployment"]["pending_operations"] = [{"type": "creating"}]
    orphan = FakeContainer("orphan", labels=labels("mlflow", kind="service"))
    mending.engine = FakeDocker(containers=[orphan])
    with pytest.raises(UserError) as error:
        recover.run(argparse.Namespace(stack=stack, before="destroy"))
    assert str(error.value) == (
        "protectData is true: the stack dev may not be destroyed; nothing was touched. Mend it with: "
        "bin/pulumi config set protectData false --stack dev, then make up STACK=dev"
    ), "Pulumi's own command would leave the setting, and the next up would protect the data again"
    assert (mending.told, orphan.done) == ([], [])


@pytest.mark.parametrize("before", ["up", "refresh", "preview"])
def test_protected_data_is_no_trouble_to_anything_but_a_destroy(mending: Mending, before: str) -> None:
    mending.state["deployment"]["resources"].append(PROTECTED)
    mending.run(before=before)


def test_data_that_is_not_protected_may_be_destroyed(mending: Mending) -> None:
    mending.state["deployment"]["resources"].append({**PROTECTED, "protect": False})
    mending.run(before="destroy")


def test_a_destroy_names_the_guests_on_the_stacks_network_before_anything_goes(mending: Mending) -> None:
    server, guest = FakeContainer("server", labels=labels("mlflow")), FakeContainer("guest")
    in_state(mending, server)
    network = FakeNetwork("wire", labels=labels("tracking"), joined=[server, guest])
    mending.state["deployment"]["resources"].append({"type": "docker:x", "urn": "y", "id": network.id})
    mending.engine = FakeDocker(containers=[server], networks=[network])
    with pytest.raises(UserError, match=r"^guest is on this stack's network wire.*docker rm --force guest"):
        mending.run(before="destroy")


def test_before_a_preview_the_engine_is_tried_and_nothing_is_changed(mending: Mending) -> None:
    leave_lock(mending.locks)
    orphan = FakeContainer("orphan", labels=labels("postgres"))
    mending.engine = FakeDocker(containers=[orphan])
    mending.run(before="preview")
    assert (orphan.done, mending.told) == ([], [])

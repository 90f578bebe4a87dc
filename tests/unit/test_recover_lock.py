"""A container that still works, or that another machine may have created, is no orphan."""

from __future__ import annotations

import socket
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from contract.errors import UserError
from ops import recover
from ops.processes import this_process

from .fake_docker import NOW, FakeContainer, FakeDocker, labels
from .recover_case import Recovery, in_state


@pytest.fixture
def recovery(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Recovery:
    return Recovery(monkeypatch, tmp_path)


def helper(name: str, *, waiter: str, changes: str = "true", **state: Any) -> FakeContainer:
    marks = labels(name, kind="helper", by="import", changes=changes, waiter=waiter)
    return FakeContainer(name, labels=marks, health=None, **state)


def living() -> str:
    return str(this_process())


DEAD = f"{socket.gethostname()} {2**22 + 1} 1"
ELSEWHERE = "elsewhere.example 1 1"


class Ending(FakeContainer):
    """A container that ends during the wait."""

    looks = 0

    @property
    def status(self) -> str:
        self.looks += 1
        return "running" if self.looks < 6 else "exited"


def ending(**marks: str) -> Ending:
    return Ending("works", labels=labels(marks.pop("role", "import"), **{"kind": "helper"} | marks), health=None)


@pytest.mark.parametrize(
    ("marks", "words"),
    [
        ({"by": "import", "changes": "true", "waiter": DEAD}, ": import has started it, and was killed"),
        ({"by": "doctor", "changes": "false", "waiter": DEAD}, ": doctor has started it, and was killed"),
        ({"by": "import", "changes": "true", "waiter": ELSEWHERE}, ": import on elsewhere.example has started it"),
        ({"kind": "task", "role": "schema"}, ""),
    ],
)
def test_a_running_task_is_waited_for_and_no_orphan(
    recovery: Recovery,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    marks: dict[str, str],
    words: str,
) -> None:
    monkeypatch.setattr("ops.helper_containers.time.sleep", lambda _: None)
    works = ending(**marks)
    recovery.engine = FakeDocker(containers=[works])
    recovery.run(before="refresh")
    assert works.looks >= 6, "a migration would be cut, or an import that may yet be committed"
    assert works.done, "no state knows it"
    assert capsys.readouterr().out.splitlines()[0] == f"waiting for works to end{words}"


def test_a_reading_helper_of_a_live_command_is_kept(recovery: Recovery) -> None:
    mine = helper("dumps", waiter=living(), changes="false")
    theirs = helper("theirs", waiter=ELSEWHERE, changes="false")
    ended = helper("ended", waiter=living(), status="exited")
    recovery.engine = FakeDocker(containers=[mine, theirs, ended])
    recovery.run(before="up")
    assert (mine.done, theirs.done, ended.done) == ([], [], []), "their commands look at them yet"


def test_an_old_helper_of_another_machine_is_removed(recovery: Recovery) -> None:
    left = helper("left", waiter=ELSEWHERE, status="exited")
    just = helper("just", waiter=ELSEWHERE, status="exited", made=NOW)
    recovery.engine = FakeDocker(containers=[left, just])
    recovery.run(before="up")
    assert (bool(left.done), bool(just.done)) == (True, False)


def test_after_a_killed_rollback_the_schema_job_runs_again(recovery: Recovery) -> None:
    job = FakeContainer(
        "mlflow-postgres-dev-schema", labels=labels("schema", kind="task"), status="exited", health=None
    )
    restore = helper("restore", waiter=DEAD, status="exited")
    in_state(recovery, job, restore)
    recovery.run(before="up")
    assert (bool(restore.done), bool(job.done)) == (True, True), (
        "the server would start on the schema that was put back"
    )


def test_a_destroy_does_not_stop_a_running_task(recovery: Recovery) -> None:
    works = helper("works", waiter=DEAD)
    recovery.engine = FakeDocker(containers=[works])
    with pytest.raises(UserError, match=r"^works still works on the stack dev: import has started it, and was killed;"):
        recovery.run(before="destroy")
    assert works.done == []


@pytest.mark.parametrize(("made", "refused"), [(NOW, True), ("2026-01-01T00:00:00Z", False)])
def test_without_local_locks_a_new_object_may_be_another_machines(
    recovery: Recovery, monkeypatch: pytest.MonkeyPatch, made: str, refused: bool
) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://bucket")
    fresh = FakeContainer("fresh", labels=labels("mlflow", kind="service"), made=made)
    recovery.engine = FakeDocker(containers=[fresh])
    with (
        pytest.raises(UserError, match=r"^fresh was created 0 s ago and is not in the state")
        if refused
        else nullcontext()
    ):
        recovery.run()
    assert bool(fresh.done) is not refused


def test_objects_created_while_the_state_is_read_are_not_orphans(
    recovery: Recovery, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = FakeContainer("late", labels=labels("mlflow", kind="service"))

    def export(_: str) -> dict[str, Any]:
        recovery.engine.containers.things.append(late)
        return recovery.state

    monkeypatch.setattr(recover, "export", export)
    recovery.run()
    assert late.done == []

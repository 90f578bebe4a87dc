"""The lock of a stack: which commands wait, which are refused, and that no lock outlives its process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from contract.errors import UserError
from ops import stack_lock
from ops.processes import Process, process_of, this_process
from ops.stack_lock import locked

from .deploy import CHECKOUT

# Has a turn until it is told to end. It first becomes another program, as bin/pulumi becomes Pulumi, or starts such a
# one, as a rollback starts an up.
HOLDER = """
import os, subprocess, sys
from pathlib import Path
from ops import stack_lock
from tests.unit.fake_docker import FakeDocker
stack_lock.FOLDER = Path(sys.argv[1])
command, how = sys.argv[2:]
waiting = [sys.executable, "-c", "print('ready', flush=True); input()"]
with stack_lock.locked("ABCD:EFGH", "dev", command, waits=False, again="it") as descriptor:
    if how == "becomes":
        os.set_inheritable(descriptor, True)
        os.execv(waiting[0], waiting)
    if how == "starts":
        program = Path(sys.argv[1], "holder").read_text()
        subprocess.run([sys.executable, "-c", program, sys.argv[1], "up", "becomes"])
    print("ready", flush=True)
    input()
"""


@contextmanager
def holder(folder: Path, command: str = "import", how: str = "stays") -> Iterator[subprocess.Popen[str]]:
    (folder / "holder").write_text(HOLDER)
    words = [sys.executable, "-c", HOLDER, str(folder), command, how]
    with subprocess.Popen(words, cwd=CHECKOUT, stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield process


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(stack_lock, "FOLDER", tmp_path)
    monkeypatch.setattr("ops.stack_lock.time.sleep", lambda _: None)
    return tmp_path


def while_waiting(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Run an action at the first failed attempt, instead of waiting."""
    looks = iter(range(1_000_000))
    monkeypatch.setattr("ops.stack_lock.time.sleep", lambda _: happens() if next(looks) == 3 else None)


def take(stack: str = "dev", *, waits: bool = False) -> None:
    with locked("ABCD:EFGH", stack, "up", waits=waits, again="make up STACK=dev"):
        pass


def free() -> bool:
    try:
        take()
    except UserError:
        return False
    return True


def test_a_command_that_does_not_wait_is_refused_with_the_holder(folder: Path) -> None:
    with holder(folder) as process:
        with pytest.raises(UserError) as error:
            take()
        assert str(error.value).startswith(f"import (process {process.pid}, since ")
        assert str(error.value).endswith(
            ") works on the stack dev; nothing was touched: wait until it has ended. Mend it with: make up STACK=dev"
        )
        take("another")
        process.communicate("\n")
    assert free()


def test_a_waiting_command_prints_one_line_and_gets_the_lock(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with holder(folder) as process:
        while_waiting(monkeypatch, lambda: process.communicate("\n"))
        take(waits=True)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"import (process {process.pid}, since ")
    assert line.endswith(") works on the stack dev; waiting for it to end")


def test_the_lock_ends_with_its_process(folder: Path) -> None:
    with holder(folder) as process:
        process.kill()
    assert free()


def test_an_executed_program_keeps_the_lock(folder: Path) -> None:
    with holder(folder, how="becomes") as process:
        assert not free(), "Pulumi works on the stack"
        process.kill()
    assert free()


def test_a_child_of_the_holder_keeps_the_lock(folder: Path) -> None:
    with holder(folder, "rollback", "starts") as process:
        assert not free()
        process.kill()
        process.wait()
        assert not free(), "its Pulumi still works"
    # Its standard input is closed by now.
    while not free():
        pass


def test_a_run_of_pulumi_is_waited_for_with_a_timeout_and_an_import_without(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0

    def wait(_: float) -> None:
        nonlocal now
        now += 100

    monkeypatch.setattr("ops.stack_lock.time.sleep", wait)
    monkeypatch.setattr("ops.stack_lock.time.monotonic", lambda: now)
    with (
        holder(folder, "up"),
        pytest.raises(UserError, match=r"has worked on the stack dev for longer than 15 minutes"),
    ):
        take(waits=True)
    said = len(capsys.readouterr().out.splitlines())
    with holder(folder, "import") as process:

        def wait_longer(_: float) -> None:
            nonlocal now
            now += 100
            if now > 6_000 and process.poll() is None:
                process.communicate("\n")

        monkeypatch.setattr("ops.stack_lock.time.sleep", wait_longer)
        take(waits=True)
    assert len(capsys.readouterr().out.splitlines()) > said, "said again now and then"


def test_a_former_holder_is_not_reported(folder: Path) -> None:
    with holder(folder) as process:
        process.communicate("\n")
    (path,) = folder.glob("*.turn")
    assert json.loads(path.read_text())["command"] == "import"
    with holder(folder, "rollback"):
        path.write_text("{")
        with pytest.raises(UserError, match=r"^another command works on the stack dev; nothing was touched"):
            take()


def test_ctrl_c_while_waiting_ends_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with holder(folder):
        while_waiting(monkeypatch, lambda: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            take(waits=True)


def a_link(path: Path) -> None:
    path.with_name("theirs").write_text("precious")
    path.symlink_to(path.with_name("theirs"))


def a_hard_link(path: Path) -> None:
    path.with_name("theirs").write_text("precious")
    path.hardlink_to(path.with_name("theirs"))


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("trap", [a_link, a_hard_link, a_pipe])
def test_a_foreign_file_at_the_locks_path_is_not_written(folder: Path, trap: Callable[[Path], None]) -> None:
    take()
    (path,) = folder.glob("*.turn")
    path.unlink()
    trap(path)
    with pytest.raises(UserError, match=r"belongs to a user who may not use the Docker engine.*sudo rm "):
        take()
    assert [each.read_text() for each in folder.glob("theirs")] in ([], ["precious"])


def test_a_removed_lock_file_is_created_again(folder: Path) -> None:
    take()
    (path,) = folder.glob("*.turn")
    path.unlink()
    assert free()
    assert path.exists()


def test_only_users_of_the_engine_may_lock_a_stack(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    socket = folder / "docker.sock"
    socket.touch()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{socket}")
    take()
    (path,) = folder.glob("*.turn")
    assert (path.stat().st_mode & 0o777, path.stat().st_gid) == (0o660, socket.stat().st_gid)


def test_a_missing_lock_folder_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(stack_lock, "FOLDER", tmp_path / "not" / "there")
    with pytest.raises(UserError, match=r"the lock .* cannot be made: No such file or directory$"):
        take()


def test_a_process_is_not_mistaken_for_another_one_with_its_id() -> None:
    this = this_process()
    assert this.lives()
    assert process_of(str(this)) == this
    assert not Process(this.host, this.pid, "1").lives()
    assert not Process(this.host, 2**22 + 1, this.started).lives()
    assert Process("elsewhere.example", 1, "1").lives(), "nothing can be said of another machine's"
    assert [process_of(text) for text in ("", "here", "here x 1")] == [None, None, None]


def test_a_zombie_is_not_alive() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1) as process:
        found = Process(this_process().host, process.pid, Path(f"/proc/{process.pid}/stat").read_text().split()[21])
        assert found.lives()
        assert process.stdin
        process.stdin.close()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not found.lives()

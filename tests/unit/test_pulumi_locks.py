"""Pulumi's locks in a local state: which are waited for, which are stale, which are left alone."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contract.errors import UserError
from ops import pulumi_locks

HERE = socket.gethostname()
# A process that is called pulumi until somebody closes its standard input.
LIVING = "import sys; open('/proc/self/comm', 'w').write('pulumi'); print('ready', flush=True); sys.stdin.read()"


@pytest.fixture(autouse=True)
def _no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A needless wait fails at once, instead of taking minutes."""

    def wait(_: float) -> None:
        raise AssertionError("this test must not wait")

    monkeypatch.setattr("ops.pulumi_locks.time.sleep", wait)


@pytest.fixture
def pulumi() -> Iterator[subprocess.Popen[str]]:
    """A running process named pulumi."""
    with subprocess.Popen([sys.executable, "-Sc", LIVING], stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield process


@pytest.fixture
def dead() -> int:
    """The id of a process that has ended."""
    with subprocess.Popen(["true"]) as process:
        return process.pid


def lock(folder: Path, pid: int, host: str = HERE) -> Path:
    path = folder / f"{pid}.json"
    path.write_text(json.dumps({"pid": pid, "username": "me", "hostname": host}))
    return path


def while_waiting(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> list[float]:
    """Run an action at the first failed attempt, instead of waiting. The list has the failed attempts."""
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        assert len(waits) == 1, "what was waited for has happened"
        happens()

    monkeypatch.setattr("ops.pulumi_locks.time.sleep", wait)
    return waits


def end(process: subprocess.Popen[str]) -> None:
    process.communicate()


def test_without_locks_nothing_is_stale(tmp_path: Path) -> None:
    assert not pulumi_locks.wait_for_the_living(tmp_path, "dev")
    assert not pulumi_locks.wait_for_the_living(tmp_path / "never made", "dev")


def test_the_lock_of_a_dead_process_is_stale(tmp_path: Path, dead: int) -> None:
    lock(tmp_path, dead)
    assert pulumi_locks.wait_for_the_living(tmp_path, "dev")


def test_the_lock_of_a_reused_process_id_is_stale(tmp_path: Path) -> None:
    lock(tmp_path, os.getpid())
    assert pulumi_locks.wait_for_the_living(tmp_path, "dev"), "this test run is no Pulumi"


def test_a_live_pulumi_is_waited_for_until_it_releases_its_lock(
    tmp_path: Path,
    pulumi: subprocess.Popen[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = lock(tmp_path, pulumi.pid)
    waits = while_waiting(monkeypatch, path.unlink)
    assert not pulumi_locks.wait_for_the_living(tmp_path, "dev"), "a lock given back is not stale"
    assert len(waits) == 1
    assert capsys.readouterr().out == (
        f"another run works on this stack (process {pulumi.pid}); waiting for it to end\n"
    ), "who waits without a word is killed"


def test_the_lock_of_a_pulumi_that_is_killed_while_waited_for_is_stale(
    tmp_path: Path, pulumi: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lock(tmp_path, pulumi.pid)
    while_waiting(monkeypatch, lambda: end(pulumi))
    assert pulumi_locks.wait_for_the_living(tmp_path, "dev")


def test_a_live_holder_among_dead_ones_is_waited_for(
    tmp_path: Path, pulumi: subprocess.Popen[str], dead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock(tmp_path, dead)
    lock(tmp_path, pulumi.pid)
    waits = while_waiting(monkeypatch, lambda: end(pulumi))
    assert pulumi_locks.wait_for_the_living(tmp_path, "dev")
    assert len(waits) == 1


def test_a_run_of_pulumi_that_takes_too_long_is_an_error(
    tmp_path: Path, pulumi: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lock(tmp_path, pulumi.pid)
    clock = iter([0.0, 1.0, 1e6])
    monkeypatch.setattr("ops.pulumi_locks.time.monotonic", lambda: next(clock))
    monkeypatch.setattr("ops.pulumi_locks.time.sleep", lambda _: None)
    with pytest.raises(
        UserError, match=rf"^another run of Pulumi has held the stack dev .* 15 minutes: process {pulumi.pid};"
    ):
        pulumi_locks.wait_for_the_living(tmp_path, "dev")


def test_the_lock_of_another_machine_is_an_error_at_once(
    tmp_path: Path, dead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock(tmp_path, dead, host="elsewhere.example")
    waits = while_waiting(monkeypatch, lambda: None)
    # Whether its holder lives cannot be seen from here.
    with pytest.raises(
        UserError, match=rf"^another machine's run .* the stack dev: process {dead} on elsewhere.example;"
    ):
        pulumi_locks.wait_for_the_living(tmp_path, "dev")
    assert waits == []


@pytest.mark.parametrize("text", ["", '{"pid": 1', "{}", "null"])
def test_an_unreadable_lock_is_ignored(tmp_path: Path, text: str) -> None:
    (tmp_path / "half.json").write_text(text)
    assert list(pulumi_locks.held(tmp_path)) == []


@pytest.mark.parametrize(
    ("url", "root"),
    [
        ("file:///srv/state", "/srv/state"),
        ("file:///srv/state?no_tmp_dir=true", "/srv/state"),
        ("file://~", str(Path.home())),
    ],
)
def test_the_locks_are_in_the_state_of_the_project_and_the_stack(
    monkeypatch: pytest.MonkeyPatch, url: str, root: str
) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", url)
    expected = Path(root) / ".pulumi" / "locks" / "organization" / "mlflow-postgres" / "dev"
    assert pulumi_locks.folder("mlflow-postgres", "dev") == expected


@pytest.mark.parametrize("url", ["https://api.pulumi.com", "s3://bucket"])
def test_a_state_that_is_no_local_folder_has_no_locks_here(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", url)
    assert pulumi_locks.folder("mlflow-postgres", "dev") is None


def test_the_state_of_a_user_who_logged_in_is_found_by_pulumi(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PULUMI_BACKEND_URL", raising=False)
    monkeypatch.setattr("ops.pulumi_locks.pulumi", lambda *_: '{"url": "file:///srv/state"}')
    found = pulumi_locks.folder("mlflow-postgres", "dev")
    assert found == Path("/srv/state/.pulumi/locks/organization/mlflow-postgres/dev")

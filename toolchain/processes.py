"""Runs other programs, none of which outlives this one."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from toolchain.progress import Failure

_running: set[subprocess.Popen[str]] = set()
_finishing: set[subprocess.Popen[str]] = set()
_starting = threading.Lock()
_stopping = False


class Stopped(Exception):
    """The run is being stopped, so no new program may start."""


def ignore_line(_: str) -> None:
    """Ignore a line of output."""


def tied_to_us(command: Sequence[str]) -> list[str]:
    """Make a command die with this process, even after a SIGKILL (Linux only)."""
    tie = shutil.which("setpriv")
    return [tie, "--pdeathsig", "KILL", *command] if tie else list(command)


def run(
    command: Sequence[str],
    tried: str,
    mend: str,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    each_line: Callable[[str], None] = ignore_line,
    finish: bool = False,
) -> str:
    """Run a command, and return the last 400 lines of its output, both streams together.

    With `finish`, the command may end by itself when the run is stopped. It is for package managers, which must not be
    interrupted. Raises Failure with the last lines if the command cannot start or its exit code is not 0.
    """
    lines: deque[str] = deque(maxlen=400)
    try:
        with _starting:
            if _stopping:
                raise Stopped
            process = subprocess.Popen(
                list(command) if finish else tied_to_us(command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                env=env,
                cwd=cwd,
                # A group of its own, so that Ctrl-C reaches only us, and we can end the whole group.
                start_new_session=True,
            )
            (_finishing if finish else _running).add(process)
    except OSError as error:
        raise Failure("tool-missing", tried, mend, str(error)) from error
    try:
        assert process.stdout is not None
        with process.stdout as output:
            for line in output:
                lines.append(line)
                each_line(line.rstrip("\n"))
        code = process.wait()
    finally:
        _running.discard(process)
        _finishing.discard(process)
    if _stopping:
        raise Stopped
    if code != 0:
        raise Failure("tool-failed", f"{tried} (exit code {code})", mend, "".join(lines))
    return "".join(lines)


def stop_all() -> None:
    """End all child processes except package managers, with their children, and start no more."""
    global _stopping
    with _starting:
        _stopping = True
        children = list(_running)
    for child in children:
        _signal_group(child, signal.SIGTERM)
    for child in children:
        try:
            child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            _signal_group(child, signal.SIGKILL)


def wait_for_package_managers() -> None:
    """Wait for the child processes that must not be interrupted."""
    for child in list(_finishing):
        child.wait()


def _signal_group(child: subprocess.Popen[str], number: signal.Signals) -> None:
    if child.poll() is None:
        try:
            os.killpg(child.pid, number)
        except ProcessLookupError:
            return

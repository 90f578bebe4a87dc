"""Running other programs so that none of them outlives this one."""

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
    """The run is being stopped; nothing new may start."""


def ignore_line(_: str) -> None:
    """Do nothing with a line of output."""


def tied_to_us(command: Sequence[str]) -> list[str]:
    """The command, made to die with this process even where a SIGKILL leaves no time to clean up (Linux only)."""
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
    """Run a command and return what it printed, both streams together (the last 400 lines).

    `finish` lets it end in peace when the run is stopped: for package managers, which are not to be cut short.
    Raises Failure, with its last lines, if it cannot be started or ends with an exit code other than 0.
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
                # A group of its own: Ctrl-C reaches us alone, and we decide what ends, children's children included.
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
    """End every child that may be ended, with its own children; start no more."""
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
    """Let the children end that must not be cut short."""
    for child in list(_finishing):
        child.wait()


def _signal_group(child: subprocess.Popen[str], number: signal.Signals) -> None:
    if child.poll() is None:
        try:
            os.killpg(child.pid, number)
        except ProcessLookupError:
            return

"""Processes, named so that one that was given the number of another is not taken for it."""

from __future__ import annotations

import os
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process of some machine."""

    host: str
    pid: int
    started: str
    """When, as its machine counts: enough to tell it from a later one of the same number."""

    def __str__(self) -> str:
        return f"{self.host} {self.pid} {self.started}"

    @property
    def is_here(self) -> bool:
        """Whether it is of this machine; nothing can be said of others."""
        return self.host == socket.gethostname()

    def lives(self) -> bool:
        """Whether it still runs. One on another machine is believed to."""
        return not self.is_here or (bool(self.started) and _started(self.pid) == self.started)


def this_process() -> Process:
    """The process that asks."""
    return Process(socket.gethostname(), os.getpid(), _started(os.getpid()))


def process_of(text: str) -> Process | None:
    """The process that was written as `str` does; None if it was not."""
    host, _, rest = text.partition(" ")
    pid, _, started = rest.partition(" ")
    return Process(host, int(pid), started) if pid.isdecimal() else None


def _started(pid: int) -> str:
    """When a process began; empty if there is none of that number, or one that has ended and was not looked after."""
    if not Path("/proc").is_dir():
        listing = ["ps", "-o", "lstart=", "-p", str(pid)]
        return subprocess.run(listing, capture_output=True, text=True, check=False).stdout.strip()
    try:
        # The program's name, in brackets, may hold anything.
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return ""
    return "" if state in ("Z", "X") else fields[18]

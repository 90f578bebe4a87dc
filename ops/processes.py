"""Processes, identified by host, id and start time: ids are reused."""

from __future__ import annotations

import os
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process of a machine."""

    host: str
    pid: int
    started: str
    """Start time in its machine's ticks. It differs from that of a later process with the same id."""

    def __str__(self) -> str:
        return f"{self.host} {self.pid} {self.started}"

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine."""
        return self.host == socket.gethostname()

    def lives(self) -> bool:
        """Whether it still runs. True for a process of another machine, which cannot be checked."""
        return not self.is_here or (bool(self.started) and _started(self.pid) == self.started)


def this_process() -> Process:
    """This process."""
    return Process(socket.gethostname(), os.getpid(), _started(os.getpid()))


def process_of(text: str) -> Process | None:
    """The process of a text that `str` has made; None for any other text."""
    host, _, rest = text.partition(" ")
    pid, _, started = rest.partition(" ")
    return Process(host, int(pid), started) if pid.isdecimal() else None


def _started(pid: int) -> str:
    """Start time of a process; empty without such a process, or for a zombie."""
    if not Path("/proc").is_dir():
        listing = ["ps", "-o", "lstart=", "-p", str(pid)]
        return subprocess.run(listing, capture_output=True, text=True, check=False).stdout.strip()
    try:
        # The program's name, in brackets, may contain anything.
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return ""
    return "" if state in ("Z", "X") else fields[18]

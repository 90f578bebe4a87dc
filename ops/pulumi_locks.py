"""Pulumi's own locks in a local state, and whether their holders are alive."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from contract.errors import UserError

from .stack import pulumi

# Seconds. An update that takes longer is not waited for.
_TIMEOUT = 900


@dataclass(frozen=True)
class Lock:
    """A lock's holder."""

    pid: int
    host: str

    def holder_lives(self) -> bool:
        """Whether the process is a running Pulumi. True for a process of another machine, which cannot be checked."""
        if self.host != socket.gethostname():
            return True
        # Another process may have the id now.
        return "pulumi" in _program(self.pid)


def _program(pid: int) -> str:
    """Name of a process's program; empty without such a process."""
    if not Path("/proc").is_dir():
        listing = ["ps", "-o", "comm=", "-p", str(pid)]
        return subprocess.run(listing, capture_output=True, text=True, check=False).stdout
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return ""


def folder(project: str, stack: str) -> Path | None:
    """The folder of a stack's locks; None unless the state is in a local folder."""
    url = os.environ.get("PULUMI_BACKEND_URL") or json.loads(pulumi("whoami", "--json"))["url"]
    if not url.startswith("file://"):
        return None
    root = Path(url.removeprefix("file://").partition("?")[0]).expanduser()
    return root / ".pulumi" / "locks" / "organization" / project / stack


def held(where: Path) -> Iterator[Lock]:
    """The locks in a folder."""
    for path in where.glob("*.json"):
        try:
            found = json.loads(path.read_text())
            lock = Lock(pid=found["pid"], host=found["hostname"])
        except (OSError, ValueError, KeyError, TypeError):
            # It was released meanwhile, or its killed writer left it incomplete.
            continue
        yield lock


def wait_for_the_living(where: Path, stack: str) -> bool:
    """Wait while a live process of this machine holds the stack. Returns True if only locks of dead processes remain.

    Raises `UserError` if it takes too long, or if the holder is on another machine, where it cannot be checked.
    """
    deadline = time.monotonic() + _TIMEOUT
    printed = False
    while locks := list(held(where)):
        living = [lock for lock in locks if lock.holder_lives()]
        if not living:
            return True
        for lock in living:
            if lock.host != socket.gethostname():
                raise UserError(
                    "pulumi-elsewhere",
                    f"another machine's run of Pulumi holds the stack {stack}: process {lock.pid} on {lock.host}; "
                    "nothing was touched",
                    rule="wait until it has ended, or release its lock if it was killed",
                    remedy=f"bin/pulumi cancel --yes --stack {stack}",
                )
        if time.monotonic() > deadline:
            raise UserError(
                "pulumi-takes-long",
                f"another run of Pulumi has held the stack {stack} for longer than {_TIMEOUT // 60} minutes: process "
                f"{living[0].pid}; nothing was touched",
                rule="wait until it has ended",
                remedy=f"make up STACK={stack}",
            )
        if not printed:
            print(f"another run works on this stack (process {living[0].pid}); waiting for it to end", flush=True)
            printed = True
        time.sleep(0.5)
    return False

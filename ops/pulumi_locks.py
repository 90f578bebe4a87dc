"""The locks of a state kept in a local folder, and whether those who hold them still live."""

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

# An update that takes longer than this, in seconds, is not waited for.
_PATIENCE = 900


@dataclass(frozen=True)
class Lock:
    """Who holds a stack."""

    pid: int
    host: str

    def holder_lives(self) -> bool:
        """Whether the process is there and is a Pulumi. One on another machine is believed to be."""
        if self.host != socket.gethostname():
            return True
        # A number that was given to another process since does not hold the lock.
        return "pulumi" in _program(self.pid)


def _program(pid: int) -> str:
    """Name of the program that a process runs; empty if there is no such process."""
    if not Path("/proc").is_dir():
        listing = ["ps", "-o", "comm=", "-p", str(pid)]
        return subprocess.run(listing, capture_output=True, text=True, check=False).stdout
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return ""


def folder(project: str, stack: str) -> Path | None:
    """Where the state's locks are; None unless the state is a local folder."""
    url = os.environ.get("PULUMI_BACKEND_URL") or json.loads(pulumi("whoami", "--json"))["url"]
    if not url.startswith("file://"):
        return None
    root = Path(url.removeprefix("file://").partition("?")[0]).expanduser()
    return root / ".pulumi" / "locks" / "organization" / project / stack


def held(where: Path) -> Iterator[Lock]:
    """The locks in a folder."""
    for path in where.glob("*.json"):
        try:
            said = json.loads(path.read_text())
            lock = Lock(pid=said["pid"], host=said["hostname"])
        except (OSError, ValueError, KeyError, TypeError):
            # Released between the listing and the look, or half written by a process that was killed.
            continue
        yield lock


def wait_for_the_living(where: Path, stack: str) -> bool:
    """Wait while a living process of this machine holds the stack; whether what is left are the locks of the dead.

    Raises `UserError` when it takes too long, or when another machine holds it: its holder cannot be seen from here.
    """
    deadline = time.monotonic() + _PATIENCE
    told = False
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
                f"another run of Pulumi has held the stack {stack} for longer than {_PATIENCE // 60} minutes: process "
                f"{living[0].pid}; nothing was touched",
                rule="wait until it has ended",
                remedy=f"make up STACK={stack}",
            )
        if not told:
            print(f"another run works on this stack (process {living[0].pid}); waiting for it to end", flush=True)
            told = True
        time.sleep(0.5)
    return False

"""Turns: of the commands that change a stack, one at a time works on it, whoever on this machine has started it.

A turn is a lock of the kernel's on a file that is named after the engine and the stack. It ends with its process,
however that ends, so none is ever stale; a program that the process becomes keeps it, and what that starts does not:
the plugins of a Pulumi that was killed linger for minutes.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import docker

from contract.errors import UserError
from preflight.engine import engine_host

from .processes import Process, this_process
from .stack import prefix, short_name

# Every user of the engine finds it there. Not TMPDIR, which may be each user's own.
FOLDER = Path("/tmp")

# Seconds. A run of Pulumi's that takes longer is not waited for; an import or a rollback may take an hour.
PATIENCE = 900
PULUMI = ("up", "update", "refresh", "destroy")

# Seconds between two words to who waits.
AGAIN = 300

# The first is the turn itself. The second is had, too, by what its holder has started to go on with it, and keeps it
# should the holder be killed meanwhile.
_TURN, _GOING_ON = 0, 1


@dataclass(frozen=True)
class Holder:
    """Who works on a stack."""

    command: str
    process: Process
    since: float
    """Seconds since the epoch."""

    def __str__(self) -> str:
        return f"{self.command} (process {self.process.pid}, since {clock(self.since)})"


def clock(seconds: float) -> str:
    """A time of the day."""
    return time.strftime("%H:%M:%S", time.localtime(seconds))


@contextmanager
def turn(engine: docker.DockerClient, stack: str, command: str, *, waits: bool, again: str) -> Iterator[int]:
    """Have a stack to oneself; `again` is what to run once another has ended.

    Yields the lock's file, for a program that this process becomes. What a command with a turn has started goes on with
    that turn. Raises `UserError` when another has it and `waits` is false, or when a run of Pulumi's that has it takes
    too long.
    """
    descriptor = _taken(_path(engine, stack), command, short_name(stack), waits=waits, again=again)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _path(engine: docker.DockerClient, stack: str) -> Path:
    identity = str(engine.info().get("ID") or engine_host())
    return FOLDER / f"{prefix(stack)}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}.turn"


def _taken(path: Path, command: str, stack: str, *, waits: bool, again: str) -> int:
    began = told = time.monotonic()
    looks = 0
    while True:
        descriptor = _opened(path)
        if _is_ours(descriptor) and _is_at(descriptor, path):
            return _signed(descriptor, command)
        holder = _holder(descriptor)
        if holder and holder.process.pid == os.getppid() and holder.process.lives() and _lock(descriptor, _GOING_ON):
            return descriptor
        os.close(descriptor)
        looks += 1
        # Who has just come has not signed yet.
        if (holder is None or not holder.process.lives()) and looks < 3:
            time.sleep(0.5)
            continue
        who = str(holder) if holder else "another command"
        if not waits:
            raise UserError(
                "stack-busy",
                f"{who} works on the stack {stack}; nothing was touched",
                rule="wait until it has ended",
                remedy=again,
            )
        now = time.monotonic()
        if holder and holder.command in PULUMI and now - began > PATIENCE:
            raise UserError(
                "stack-busy-long",
                f"{who} has worked on the stack {stack} for longer than {PATIENCE // 60} minutes; nothing was touched",
                rule="wait until it has ended",
                remedy=again,
            )
        if told == began or now - told > AGAIN:
            print(f"{who} works on the stack {stack}; waiting for it to end", flush=True)
            told = now
        time.sleep(0.5)


def _is_ours(descriptor: int) -> bool:
    """Whether nobody else has the turn, nor what somebody had started who was killed."""
    if not _lock(descriptor, _TURN):
        return False
    if not _lock(descriptor, _GOING_ON):
        fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, _TURN)
        return False
    # For what this process is going to start.
    fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, _GOING_ON)
    return True


def _lock(descriptor: int, byte: int) -> bool:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether it is the file that others will find: who tidies the folder up may have removed it meanwhile."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _signed(descriptor: int, command: str) -> int:
    text = json.dumps(asdict(Holder(command, this_process(), time.time())))
    # Only those who wait read it: a full disk must not end what needs none.
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode(), 0)
    return descriptor


def _holder(descriptor: int) -> Holder | None:
    """Who has signed last; None if that cannot be read."""
    try:
        said = json.loads(os.pread(descriptor, 4096, 0))
        return Holder(str(said["command"]), Process(**said["process"]), float(said["since"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _opened(path: Path) -> int:
    """The file, made if it is not there. Raises `UserError` when it is none of ours."""
    group = _group()
    for _ in range(20):
        try:
            # Not with O_CREAT: the kernel may then refuse the file of another user.
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            _make(path, group)
            continue
        except OSError:
            # A link, or a file of another user who is about to open it to the group.
            time.sleep(0.05)
            continue
        if _is_trusted(os.fstat(descriptor), group):
            return descriptor
        os.close(descriptor)
        time.sleep(0.05)
    raise UserError(
        "lock-not-trusted",
        f"the lock {path} was made by somebody who may not use the Docker engine, or may not be opened",
        remedy=f"sudo rm {path}",
    )


def _make(path: Path, group: int | None) -> None:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        return
    except OSError as error:
        raise UserError("lock-not-made", f"the lock {path} cannot be made: {error.strerror}") from error
    try:
        if group is None:
            os.fchmod(descriptor, 0o666)
        else:
            # Not for who reaches the engine otherwise than by its group.
            with suppress(PermissionError):
                os.fchown(descriptor, -1, group)
                os.fchmod(descriptor, 0o660)
    finally:
        os.close(descriptor)


def _group() -> int | None:
    """The group of those who may use the engine; None if that is not for a group to say."""
    try:
        return os.stat(engine_host().removeprefix("unix://")).st_gid
    except OSError:
        return None


def _is_trusted(found: os.stat_result, group: int | None) -> bool:
    """Whether it is a plain file, made by ourselves or by somebody who may use the engine.

    Nobody can give a file to a group that they are not in. What anybody made could be taken away while it is locked.
    """
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        return False
    return group is None or found.st_uid == os.getuid() or (found.st_gid == group and not found.st_mode & stat.S_IWOTH)

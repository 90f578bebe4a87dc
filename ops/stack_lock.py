"""The lock of a stack: only one command of this machine at a time changes it, whichever user has started it.

It is a POSIX lock on a file that is named after the engine and the stack. It ends with its process, so it is never
stale. A program that the process executes keeps it. Children of that program do not: the plugins of a killed Pulumi run
for minutes.
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

from contract.errors import UserError
from preflight.engine import engine_host

from .processes import Process, this_process
from .stack import prefix, short_name

# Not TMPDIR, which may be different for each user: every user of the engine must find it.
FOLDER = Path("/tmp")

# Seconds to wait for a run of Pulumi. Other commands are waited for without a limit: an import may take an hour.
PULUMI_TIMEOUT = 900
PULUMI = ("up", "update", "refresh", "destroy")

# Seconds after which a waiting command prints again what it waits for.
REPEAT = 300

# Bytes of the file. The first is the lock itself. A command that the holder starts locks the second, and keeps the
# stack locked if the holder is killed.
_HOLDER, _CHILD = 0, 1


@dataclass(frozen=True)
class Holder:
    """The command that works on a stack."""

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
def locked(engine: str, stack: str, command: str, *, waits: bool, again: str) -> Iterator[int]:
    """Lock a stack on the engine with that identity. `again` is the command to run when the holder has ended.

    Yields the lock's file descriptor, for a program that this process executes. A child of the holder shares its lock.
    Raises `UserError` if another command holds it and `waits` is false, or if a run of Pulumi takes too long.
    """
    descriptor = _acquired(_path(engine, stack), command, short_name(stack), waits=waits, again=again)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _path(engine: str, stack: str) -> Path:
    # Other versions of this project lock the same file: keep its name.
    return FOLDER / f"{prefix(stack)}-{hashlib.sha256(engine.encode()).hexdigest()[:12]}.turn"


def _acquired(path: Path, command: str, stack: str, *, waits: bool, again: str) -> int:
    began = printed = time.monotonic()
    looks = 0
    while True:
        descriptor = _open(path)
        if _lock_both(descriptor) and _is_at(descriptor, path):
            return _sign(descriptor, command)
        holder = _holder(descriptor)
        if holder and holder.process.pid == os.getppid() and holder.process.lives() and _lock(descriptor, _CHILD):
            return descriptor
        os.close(descriptor)
        looks += 1
        # A holder that has just locked the file has not written its name yet.
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
        if holder and holder.command in PULUMI and now - began > PULUMI_TIMEOUT:
            raise UserError(
                "stack-busy-long",
                f"{who} has worked on the stack {stack} for longer than {PULUMI_TIMEOUT // 60} minutes; nothing was "
                "touched",
                rule="wait until it has ended",
                remedy=again,
            )
        if printed == began or now - printed > REPEAT:
            print(f"{who} works on the stack {stack}; waiting for it to end", flush=True)
            printed = now
        time.sleep(0.5)


def _lock_both(descriptor: int) -> bool:
    """Lock the file, unless another command holds it, or a child of a killed command."""
    if not _lock(descriptor, _HOLDER):
        return False
    if not _lock(descriptor, _CHILD):
        fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, _HOLDER)
        return False
    # A child of this process may lock this byte.
    fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, _CHILD)
    return True


def _lock(descriptor: int, byte: int) -> bool:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether the open file is still at its path: /tmp may have been cleaned."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _sign(descriptor: int, command: str) -> int:
    text = json.dumps(asdict(Holder(command, this_process(), time.time())))
    # The text is only for messages of waiting commands, so a full disk must not stop this command.
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode(), 0)
    return descriptor


def _holder(descriptor: int) -> Holder | None:
    """The last holder; None if it cannot be read."""
    try:
        found = json.loads(os.pread(descriptor, 4096, 0))
        return Holder(str(found["command"]), Process(**found["process"]), float(found["since"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _open(path: Path) -> int:
    """Open the file, and create it if it does not exist. Raises `UserError` if it cannot be trusted."""
    group = _group()
    for _ in range(20):
        try:
            # Without O_CREAT: with it, the kernel may refuse the file of another user.
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            _make(path, group)
            continue
        except OSError:
            # A link, or a file whose owner has not opened it to the group yet.
            time.sleep(0.05)
            continue
        if _is_trusted(os.fstat(descriptor), group):
            return descriptor
        os.close(descriptor)
        time.sleep(0.05)
    raise UserError(
        "lock-not-trusted",
        f"the lock {path} belongs to a user who may not use the Docker engine, or cannot be opened",
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
            # A user who reaches the engine in another way is not in the group.
            with suppress(PermissionError):
                os.fchown(descriptor, -1, group)
                os.fchmod(descriptor, 0o660)
    finally:
        os.close(descriptor)


def _group() -> int | None:
    """The group of the engine's socket; None without a socket."""
    try:
        return os.stat(engine_host().removeprefix("unix://")).st_gid
    except OSError:
        return None


def _is_trusted(found: os.stat_result, group: int | None) -> bool:
    """Whether it is a regular file of this user, or of a user who may use the engine.

    A user can change a file's group only to one of their own groups. The owner can remove the file while it is locked.
    """
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        return False
    return group is None or found.st_uid == os.getuid() or (found.st_gid == group and not found.st_mode & stat.S_IWOTH)

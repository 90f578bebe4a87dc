"""Checks that the dumps of upgrades still exist."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from contract import dumps
from contract.dumps import ListedDump
from contract.errors import UserError

from .. import schema_job
from ..stack import prefix
from .check import Verdict, broken, ok
from .subject import NotTried, Subject


def check(subject: Subject) -> Verdict:
    """Every listed dump has its file, with its original size."""
    try:
        job = schema_job.find(subject.runtime, subject.stack)
    except UserError:
        raise NotTried("there is no schema job") from None
    found = dumps.parse(schema_job.run(subject.runtime, job, "dumps", "--lost", command="doctor"))
    return judge(found, f"{prefix(subject.stack)}-backups", datetime.now(UTC))


def judge(found: Sequence[ListedDump], volume: str, now: datetime) -> Verdict:
    """The verdict on the dumps, newest first."""
    if not found:
        return ok("none yet: one is made before each upgrade")
    for dump in found:
        size = dump.bytes_there
        if size != dump.size:
            seen = "is missing" if size is None else f"has {size} bytes instead of {dump.size}"
            return broken(
                f"the file of {dump.name} {seen}: it cannot be restored, unless you copy {dump.name}.dump into the "
                f"volume {volume} again",
                f"docker run --rm --volume {volume}:/backups debian:trixie-slim rm /backups/{dump.name}.json",
            )
    newest = found[0]
    days = (now - datetime.fromisoformat(newest.created)).days
    return ok(f"{len(found)} exist; the newest, {newest.name}, is {days} days old")

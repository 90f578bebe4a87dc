"""Whether the dumps that upgrades have made are still there to go back to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from contract import dumps
from contract.dumps import ListedDump
from contract.errors import UserError

from .. import job
from ..stack import prefix
from .check import Verdict, broken, ok
from .subject import NotTried, Subject


def look(subject: Subject) -> Verdict:
    """Every dump that was noted has its file, of the size that it was made with."""
    try:
        its_job = job.find(subject.engine, subject.stack)
    except UserError:
        raise NotTried("there is no schema job") from None
    found = dumps.parse(job.run(subject.engine, its_job, "dumps", "--lost", by="doctor"))
    return judge(found, f"{prefix(subject.stack)}-backups", datetime.now(UTC))


def judge(found: Sequence[ListedDump], volume: str, now: datetime) -> Verdict:
    """What follows from the dumps as the schema job lists them, newest first."""
    if not found:
        return ok("none yet: one is made before each upgrade")
    for dump in found:
        there = dump.bytes_there
        if there != dump.size:
            seen = "is gone" if there is None else f"has {there} bytes and was made with {dump.size}"
            return broken(
                f"the file of {dump.name} {seen}: there is no way back to it, unless {dump.name}.dump is put "
                f"back into the volume {volume}",
                f"docker run --rm --volume {volume}:/backups debian:trixie-slim rm /backups/{dump.name}.json",
            )
    newest = found[0]
    days = (now - datetime.fromisoformat(newest.created)).days
    return ok(f"{len(found)} there; the newest, {newest.name}, is {days} days old")

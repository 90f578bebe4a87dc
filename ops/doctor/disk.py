"""Whether there is room for what is yet to come, where the database and the artifacts are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .. import inside
from ..stack import prefix
from .check import Verdict, broken, ok, together, warning
from .subject import NotTried, Subject

GIB = 2**30

# Time to act: a disk that took a year to fill is full in two months.
_LITTLE = 0.15
# Less than this, and one night of logging, a dump before an upgrade or a vacuum fills it.
_TOO_LITTLE = 0.05
# PostgreSQL writes so much of its log of changes (max_wal_size) before it takes any back, and stops on a full disk.
_LEAST = 1 * GIB


@dataclass(frozen=True)
class Place:
    """A volume, and the service in whose container it is looked at."""

    name: str
    service: str
    volume: str


PLACES = (Place("database", "postgres", "postgres-data"), Place("artifacts", "mlflow", "mlflow-artifacts"))


def look(subject: Subject, places: Sequence[Place] = PLACES) -> Verdict:
    """There is room on the file systems that hold the volumes."""
    return together([_place(subject, place) for place in places])


def _place(subject: Subject, place: Place) -> Verdict:
    container = subject.running(place.service)
    volume = f"{prefix(subject.stack)}-{place.volume}"
    for mount in container.attrs["Mounts"]:
        if mount.get("Name") == volume:
            return judge(place.name, *room(inside.run(container, "df", "-Pk", mount["Destination"])))
    raise NotTried(f"{place.service} has no volume {volume}")


def room(table: str) -> tuple[int, int]:
    """Bytes that are free, and bytes that there are but for root's share, as `df -Pk` says of one file system."""
    _, _, used, free, _, _ = table.splitlines()[-1].rsplit(maxsplit=5)
    return int(free) * 1024, (int(used) + int(free)) * 1024


def judge(name: str, free: int, whole: int, least: int = _LEAST) -> Verdict:
    """What follows from the bytes that are free; `least` is what must be, whatever its share."""
    share = free / whole if whole else 0
    seen = f"{name} has {free / GIB:.1f} GiB free, {share:.0%}"
    mend = "docker builder prune, or a larger disk; docker system df shows what takes the room"
    if free < least or share < _TOO_LITTLE:
        return broken(f"{seen}: it must be {_TOO_LITTLE:.0%} and {least / GIB:.0f} GiB", mend)
    if share < _LITTLE:
        return warning(f"{seen}: it should be {_LITTLE:.0%}", mend)
    return ok(seen)

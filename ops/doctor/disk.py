"""Checks the free space of the file systems of the database and the artifacts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from contract import roles
from contract.names import object_name

from ..stack import prefix
from .check import Verdict, broken, ok, warning, worst_of
from .subject import NotTried, Subject

GIB = 2**30

# A disk that took a year to fill to this share is full two months later.
_LITTLE = 0.15
# One night of logging, a dump before an upgrade or a vacuum may fill less than this.
_TOO_LITTLE = 0.05
# PostgreSQL writes so much WAL (max_wal_size) before it recycles any, and it stops on a full disk.
_LEAST = 1 * GIB


@dataclass(frozen=True)
class Volume:
    """A volume, and the service whose container mounts it."""

    label: str
    service: str
    name_suffix: str


VOLUMES = (
    Volume("database", roles.POSTGRES, "postgres-data"),
    Volume("artifacts", roles.MLFLOW, "mlflow-artifacts"),
)


def check(subject: Subject, volumes: Sequence[Volume] = VOLUMES) -> Verdict:
    """The file systems of the volumes have enough free space."""
    return worst_of([_volume(subject, volume) for volume in volumes])


def _volume(subject: Subject, volume: Volume) -> Verdict:
    name = object_name(prefix(subject.stack), volume.name_suffix)
    folder = subject.running(volume.service).volumes.get(name)
    if folder is None:
        raise NotTried(f"{volume.service} has no volume {name}")
    return judge(volume.label, *room(subject.execute(volume.service, "df", "-Pk", folder)))


def room(table: str) -> tuple[int, int]:
    """The free bytes and all bytes of a file system, without root's reserve, from the output of `df -Pk`."""
    _, _, used, free, _, _ = table.splitlines()[-1].rsplit(maxsplit=5)
    return int(free) * 1024, (int(used) + int(free)) * 1024


def judge(name: str, free: int, whole: int, least: int = _LEAST) -> Verdict:
    """The verdict on the free bytes; `least` must be free on a disk of any size."""
    share = free / whole if whole else 0
    seen = f"{name} has {free / GIB:.1f} GiB free, {share:.0%}"
    remedy = "docker builder prune, or a larger disk; docker system df shows what uses the space"
    if free < least or share < _TOO_LITTLE:
        return broken(f"{seen}: it must be {_TOO_LITTLE:.0%} and {least / GIB:.0f} GiB", remedy)
    if share < _LITTLE:
        return warning(f"{seen}: it should be {_LITTLE:.0%}", remedy)
    return ok(seen)

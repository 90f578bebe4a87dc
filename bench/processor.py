"""The processor time of a system's containers, which a busy machine changes less than the time of an answer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from docker.models.containers import Container

from bench.systems import System

_GROUPS = Path("/sys/fs/cgroup")


@dataclass
class Processor:
    """Processor time in seconds. Not a number if the engine does not run on this machine's kernel."""

    server: float = 0.0
    postgres: float = 0.0

    def each(self, count: float) -> Processor:
        """The share of one of `count` calls."""
        return Processor(self.server / count, self.postgres / count)


@contextmanager
def processor_time(system: System) -> Iterator[Processor]:
    """What the containers take while the block runs. The result is filled in at its end.

    Read from the kernel: the engine would need up to a second for each reading, and a program in the container would
    count itself.
    """
    counters = [_counter(container) if container else None for container in (system.server, system.postgres)]
    taken, before = Processor(), [each.seconds() if each else 0.0 for each in counters]
    yield taken
    after = [each.seconds() if each else 0.0 for each in counters]
    taken.server, taken.postgres = (end - begin for begin, end in zip(before, after, strict=True))


@dataclass(frozen=True)
class Counter:
    """The file in which the kernel counts the processor time of one control group, and its unit."""

    file: Path | None
    unit: float = 1e-9
    """In seconds."""
    key: str = ""
    """The word before the number, if the file has several lines."""

    def seconds(self) -> float:
        if self.file is None:
            return math.nan
        words = self.file.read_text().split()
        return int(words[words.index(self.key) + 1 if self.key else 0]) * self.unit


def counter_of(groups: str, root: Path = _GROUPS) -> Counter:
    """The counter of a process, by its line in /proc/PID/cgroup: of version 1 if there is one, else of version 2."""
    paths = {tuple(line.split(":", 2)[1].split(",")): line.split(":", 2)[2].lstrip("/") for line in groups.splitlines()}
    for controllers, path in paths.items():
        if "cpuacct" in controllers:
            return Counter(root / "cpuacct" / path / "cpuacct.usage")
    return Counter(root / paths[("",)] / "cpu.stat", 1e-6, "usage_usec")


@cache
def _counter(container: Container) -> Counter:
    """A container that is started again has the same control groups."""
    container.reload()
    pid = container.attrs["State"]["Pid"]
    try:
        made = counter_of(Path(f"/proc/{pid}/cgroup").read_text())
        made.seconds()
    except (OSError, KeyError):
        return Counter(None)
    return made

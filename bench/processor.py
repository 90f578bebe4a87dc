"""The processor time of a system's containers, which a busy machine changes less than the time of an answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from docker.models.containers import Container

from bench.systems import System


@dataclass
class Processor:
    """Processor time in seconds."""

    server: float = 0.0
    postgres: float = 0.0

    def each(self, count: float) -> Processor:
        """The share of one of `count` calls."""
        return Processor(self.server / count, self.postgres / count)


@contextmanager
def processor_time(system: System) -> Iterator[Processor]:
    """What the containers take while the block runs. The result is filled in at its end."""
    taken = Processor()
    server, postgres = _total(system.server), _total(system.postgres)
    yield taken
    taken.server, taken.postgres = _total(system.server) - server, _total(system.postgres) - postgres


def _total(container: Container | None) -> float:
    """Seconds since the container's start. The engine reads them from its control group."""
    if container is None:
        return 0.0
    # Without `one_shot`, the engine would take a second reading a second later.
    stats: Any = container.stats(stream=False, one_shot=True)
    return float(stats["cpu_stats"]["cpu_usage"]["total_usage"]) / 1e9

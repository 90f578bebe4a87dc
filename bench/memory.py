"""Anonymous memory of a system's containers after the measurements. The page cache does not count."""

from __future__ import annotations

from typing import Any

from docker.models.containers import Container

from bench.results import Results
from bench.systems import System

MEMORY = "memory"
_MIB = 1 << 20


def measure(systems: list[System], size: int, results: Results) -> None:
    """Read each container once."""
    for system in systems:
        for task, container in (("MLflow", system.server), ("PostgreSQL", system.postgres)):
            if container:
                result = results.of(MEMORY, f"{task}, anonymous memory", system.name, size, "MiB")
                result.values.append(anonymous(container) / _MIB)


def anonymous(container: Container) -> int:
    """Bytes of anonymous memory. The kernel counts shared_buffers, which are shared memory, as page cache."""
    stats: Any = container.stats(stream=False)
    found = stats["memory_stats"]["stats"]
    # cgroups v2 calls it anon.
    return int(found.get("total_rss", found.get("anon", 0)))

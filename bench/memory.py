"""Memory that a side's containers hold for themselves, after the work: what the disk's cache has is not counted."""

from __future__ import annotations

from typing import Any

from docker.models.containers import Container

from bench.results import Results
from bench.sides import Side

MEMORY = "memory"
_MIB = 1 << 20


def weigh(sides: list[Side], size: int, results: Results) -> None:
    """One reading of each container; shared_buffers, which PostgreSQL shares between processes, count as cache."""
    for side in sides:
        for cell, container in (("MLflow", side.server), ("PostgreSQL", side.postgres)):
            if container:
                result = results.of(MEMORY, f"{cell}, anonymous memory", side.name, size, "MiB")
                result.values.append(_anonymous(container) / _MIB)


def _anonymous(container: Container) -> int:
    stats: Any = container.stats(stream=False)
    found = stats["memory_stats"]["stats"]
    # The second version of control groups calls it anon.
    return int(found.get("total_rss", found.get("anon", 0)))

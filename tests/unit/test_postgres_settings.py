"""PostgreSQL's settings as worked out: what fits into the container, and what is never traded for speed."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import pytest

from components.database.connections import connection_budget
from components.database.managed import MAJORS
from components.database.tuning import REFUSED, settings_for

MEMORY = (512, 1024, 2048, 4096, 16384, 65536)
CPUS = (0, 0.5, 1, 2, 3.5, 8, 32)
WORKERS = (2, 4, 32)

KB = {"kB": 1, "MB": 1024, "GB": 1024 * 1024}
# What PostgreSQL has in 13 to 18, for settings that are left as they come.
AUTOVACUUM_WORKERS, PARALLEL_WORKERS, PARALLEL_IN_ONE_QUERY = 3, 8, 2
# Settings that every major from 13 to 18 has.
KNOWN = {
    *("autovacuum_naptime", "autovacuum_vacuum_insert_scale_factor", "autovacuum_work_mem"),
    *("checkpoint_completion_target", "checkpoint_timeout", "max_wal_size", "wal_compression"),
    *("effective_cache_size", "effective_io_concurrency", "random_page_cost", "jit"),
    *("hash_mem_multiplier", "maintenance_work_mem", "shared_buffers", "work_mem"),
    *("max_parallel_maintenance_workers", "max_parallel_workers", "max_parallel_workers_per_gather"),
    "max_worker_processes",
}


def settings(memory: int, cpus: float, workers: int = 4, major: int = 17) -> dict[str, str]:
    connections = connection_budget(workers, sign_in=False, jobs=False).max_connections
    return settings_for(memory, cpus, connections, major)


def kb(size: str) -> int:
    number, unit = re.fullmatch(r"(\d+)([kMG]B)", size).groups()  # type: ignore[union-attr]
    return int(number) * KB[unit]


def mb(found: dict[str, str], *names: str) -> list[int]:
    return [kb(found[name]) // 1024 for name in names]


@pytest.mark.parametrize(
    ("memory", "cpus", "sizes", "parallel"),
    [
        # Shared buffers, cache, one sort, maintenance, autovacuum, WAL, all in MB; workers in all, in one query.
        (512, 1, [128, 384, 5, 32, 8, 1024], ["1", "0"]),
        (2048, 0, [512, 1536, 16, 128, 32, 4096], []),
        (2048, 2, [512, 1536, 20, 128, 32, 4096], ["2", "1"]),
        (16384, 8, [4096, 12288, 132, 1024, 256, 8192], ["8", "4"]),
        (65536, 32, [16384, 49152, 256, 2048, 1024, 8192], ["32", "4"]),
    ],
)
def test_the_settings_of_some_machines(memory: int, cpus: float, sizes: list[int], parallel: list[str]) -> None:
    found = settings(memory, cpus)
    names = ("shared_buffers", "effective_cache_size", "work_mem", "maintenance_work_mem", "autovacuum_work_mem")
    assert mb(found, *names, "max_wal_size") == sizes
    workers = [found[each] for each in ("max_parallel_workers", "max_parallel_workers_per_gather") if each in found]
    assert workers == parallel


@dataclass(frozen=True)
class Machine:
    """One point of the grid: what the settings follow from."""

    memory: int
    cpus: float
    workers: int
    major: int

    @cached_property
    def settings(self) -> dict[str, str]:
        return settings(self.memory, self.cpus, self.workers, self.major)


MACHINES = [Machine(*each) for each in itertools.product(MEMORY, CPUS, WORKERS, MAJORS)]


def what_runs_at_once_fits_into_the_container(machine: Machine) -> bool:
    """Otherwise the engine kills the server in the middle of its work."""
    connections = connection_budget(machine.workers, sign_in=False, jobs=False).max_connections
    parallel = int(machine.settings.get("max_parallel_workers", PARALLEL_WORKERS))
    hashes = (
        kb(machine.settings["work_mem"]) * int(machine.settings["hash_mem_multiplier"]) * (connections // 5 + parallel)
    )
    upkeep = kb(machine.settings["maintenance_work_mem"]) + AUTOVACUUM_WORKERS * kb(
        machine.settings["autovacuum_work_mem"]
    )
    return kb(machine.settings["shared_buffers"]) + hashes + upkeep <= machine.memory * 1024 * 0.9


def parallel_queries_fit_into_the_shared_memory(machine: Machine) -> bool:
    """A parallel hash fails when /dev/shm is used up."""
    processes = 1 + int(machine.settings.get("max_parallel_workers_per_gather", PARALLEL_IN_ONE_QUERY))
    one_query = kb(machine.settings["work_mem"]) * int(machine.settings["hash_mem_multiplier"]) * processes
    return 2 * one_query <= machine.memory // 4 * 1024


def there_are_no_more_parallel_workers_than_processors(machine: Machine) -> bool:
    if not machine.cpus:
        return not [name for name in machine.settings if "parallel" in name or "worker" in name]
    most = int(machine.settings["max_parallel_workers"])
    return most <= machine.cpus and all(
        int(machine.settings[f"max_parallel_{each}"]) <= most for each in ("workers_per_gather", "maintenance_workers")
    )


def other_background_workers_have_a_place(machine: Machine) -> bool:
    return not machine.cpus or int(machine.settings["max_worker_processes"]) >= max(
        int(machine.settings["max_parallel_workers"]), 8
    )


def what_nobody_may_choose_is_not_chosen(machine: Machine) -> bool:
    """Such as fsync: no data is traded for speed."""
    return not set(machine.settings) & set(REFUSED)


def every_major_knows_every_name(machine: Machine) -> bool:
    """An unknown name stops the server."""
    return set(machine.settings) <= KNOWN


def no_files_are_kept_that_fill_a_small_volume(machine: Machine) -> bool:
    return "min_wal_size" not in machine.settings


def no_memory_is_below_the_least_that_postgresql_takes(machine: Machine) -> bool:
    return all(kb(machine.settings[name]) >= 64 for name in machine.settings if name.endswith("_mem"))


@pytest.mark.parametrize("holds", [
    what_runs_at_once_fits_into_the_container,
    parallel_queries_fit_into_the_shared_memory,
    there_are_no_more_parallel_workers_than_processors,
    other_background_workers_have_a_place,
    what_nobody_may_choose_is_not_chosen,
    every_major_knows_every_name,
    no_files_are_kept_that_fill_a_small_volume,
    no_memory_is_below_the_least_that_postgresql_takes,
], ids=lambda holds: holds.__name__)  # fmt: skip
def test_the_settings_hold_on_every_machine(holds: Callable[[Machine], bool]) -> None:
    broken = [machine for machine in MACHINES if not holds(machine)]
    assert not broken, f"{len(broken)} of {len(MACHINES)} machines, the first: {broken[0]} with {broken[0].settings}"


def test_more_memory_never_makes_anything_smaller() -> None:
    for cpus in CPUS:
        found = [settings(memory, cpus) for memory in range(512, 20_000, 128)]
        for name in ("shared_buffers", "work_mem", "maintenance_work_mem", "max_wal_size"):
            sizes = [kb(each[name]) for each in found]
            assert sizes == sorted(sizes), f"{name} with {cpus} processors"


def test_more_connections_never_make_a_sort_larger() -> None:
    sizes = [kb(settings(2048, 0, workers)["work_mem"]) for workers in range(2, 33)]
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize(("major", "expected"), [(13, "200"), (17, "200"), (18, None)])
def test_effective_io_concurrency_depends_on_the_major_version(major: int, expected: str | None) -> None:
    assert settings(2048, 0, major=major).get("effective_io_concurrency") == expected


def test_the_order_is_always_the_same() -> None:
    assert list(settings(2048, 2)) == sorted(settings(2048, 2)), "another order is a change of the plan"

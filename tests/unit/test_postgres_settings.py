"""PostgreSQL's settings as worked out: what fits into the container, and what is never traded for speed."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest

from components.database.connections import connection_budget
from components.database.tuning import REFUSED, settings_for
from components.rules import POSTGRES_MAJORS

MEMORY = (512, 1024, 2048, 4096, 16384, 65536)
CPUS = (0, 0.5, 1, 2, 3.5, 8, 32)
WORKERS = (2, 4, 32)
GRID = list(itertools.product(MEMORY, CPUS, WORKERS, POSTGRES_MAJORS))

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


@pytest.mark.parametrize("cpus", CPUS)
@pytest.mark.parametrize("workers", WORKERS)
def test_what_runs_at_once_fits_into_the_container(cpus: float, workers: int) -> None:
    connections = connection_budget(workers, sign_in=False, jobs=False).max_connections
    for memory in MEMORY:
        found = settings(memory, cpus, workers)
        parallel = int(found.get("max_parallel_workers", PARALLEL_WORKERS))
        hashes = kb(found["work_mem"]) * int(found["hash_mem_multiplier"]) * (connections // 5 + parallel)
        upkeep = kb(found["maintenance_work_mem"]) + AUTOVACUUM_WORKERS * kb(found["autovacuum_work_mem"])
        taken = kb(found["shared_buffers"]) + hashes + upkeep
        assert taken <= memory * 1024 * 0.9, f"with {memory} MiB the engine kills the server in the middle of its work"


@pytest.mark.parametrize("memory", MEMORY)
@pytest.mark.parametrize("cpus", CPUS)
def test_parallel_queries_fit_into_the_shared_memory_of_the_container(memory: int, cpus: float) -> None:
    found = settings(memory, cpus)
    processes = 1 + int(found.get("max_parallel_workers_per_gather", PARALLEL_IN_ONE_QUERY))
    one_query = kb(found["work_mem"]) * int(found["hash_mem_multiplier"]) * processes
    assert 2 * one_query <= memory // 4 * 1024, "a parallel hash fails when /dev/shm is used up"


@pytest.mark.parametrize("name", ["shared_buffers", "work_mem", "maintenance_work_mem", "max_wal_size"])
@pytest.mark.parametrize("cpus", CPUS)
def test_more_memory_never_makes_anything_smaller(name: str, cpus: float) -> None:
    sizes = [kb(settings(memory, cpus)[name]) for memory in range(512, 20_000, 128)]
    assert sizes == sorted(sizes)


def test_more_connections_never_make_a_sort_larger() -> None:
    sizes = [kb(settings(2048, 0, workers)["work_mem"]) for workers in range(2, 33)]
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("cpus", CPUS[1:])
def test_there_are_no_more_parallel_workers_than_processors(cpus: float) -> None:
    found = settings(2048, cpus)
    most = int(found["max_parallel_workers"])
    assert most <= cpus
    for name in ("max_parallel_workers_per_gather", "max_parallel_maintenance_workers"):
        assert int(found[name]) <= most
    assert int(found["max_worker_processes"]) >= max(most, 8), "others than parallel ones need a place as well"


def test_without_a_limit_on_processors_parallel_workers_are_postgresqls_own() -> None:
    assert [name for name in settings(2048, 0) if "parallel" in name or "worker" in name] == []


@pytest.mark.parametrize(("memory", "cpus", "workers", "major"), GRID)
def test_nothing_of_the_data_is_traded_for_speed_and_every_major_knows_every_name(
    memory: int, cpus: float, workers: int, major: int
) -> None:
    found = settings(memory, cpus, workers, major)
    assert not set(found) & set(REFUSED), "what nobody may choose is not chosen here either"
    assert set(found) <= KNOWN, "a name that one of the majors does not know stops its server"
    assert "min_wal_size" not in found, "files that are kept fill a small volume"
    assert all(kb(found[name]) >= 64 for name in found if name.endswith("_mem")), "the least that PostgreSQL takes"


@pytest.mark.parametrize(("major", "told"), [(13, "200"), (17, "200"), (18, None)])
def test_reading_ahead_is_left_to_a_major_that_has_its_own_way(major: int, told: Any) -> None:
    assert settings(2048, 0, major=major).get("effective_io_concurrency") == told


def test_the_order_is_always_the_same() -> None:
    assert list(settings(2048, 2)) == sorted(settings(2048, 2)), "another order is a change of the plan"

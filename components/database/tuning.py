"""PostgreSQL's settings, worked out from what its container may use; and those that nobody may choose."""

from __future__ import annotations

import math

# PostgreSQL's own: without a limit on the processors these are left as they come.
_PARALLEL_WORKERS = 8

# The default since 15; 13 and 14 have 1, and would write hashes to disk that the others hold in memory.
_HASH_MULTIPLIER = 2

# One connection in so many sorts or hashes at the same time. A worker of MLflow's keeps a pool for runs and a pool for
# registered models, seldom uses both, and spends most of a search in Python.
_CONNECTIONS_PER_SORT = 5

_LARGEST_WORK_MEM = 256 * 1024

_LOSES = "runs that were acknowledged could be lost with it"
_HIDES = "damage to the data would go unseen with it"
_OURS = "the project sets it itself"
_POOLS = "it follows from mlflowWorkers"
_LOG = "the log is what `make logs` shows, and in files of its own it would fill the volume"

REFUSED = {
    **dict.fromkeys(("fsync", "synchronous_commit", "full_page_writes", "wal_sync_method", "data_sync_retry"), _LOSES),
    **dict.fromkeys(
        ("zero_damaged_pages", "ignore_checksum_failure", "ignore_invalid_pages", "ignore_system_indexes"), _HIDES
    ),
    **dict.fromkeys(("max_connections", "superuser_reserved_connections", "reserved_connections"), _POOLS),
    **dict.fromkeys(("config_file", "data_directory", "hba_file", "ident_file", "external_pid_file"), _OURS),
    **dict.fromkeys(("listen_addresses", "unix_socket_directories", "password_encryption"), _OURS),
    **dict.fromkeys(("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count"), _OURS),
    "port": "the port on the Docker host is postgresPort",
    "ssl": "the server has no certificate, and would not start",
    **dict.fromkeys(("logging_collector", "log_destination"), _LOG),
    "synchronous_standby_names": "there is no standby, and every write would wait for it",
    "primary_conninfo": "it holds a password, and the engine shows the settings to whoever asks",
}
"""Settings that nobody may choose, each with the reason."""


def settings_for(memory: int, cpus: float, connections: int, major: int) -> dict[str, str]:
    """The settings of a server with `memory` MiB, `cpus` processors (0: all there are) and that many connections.

    What is as PostgreSQL has it in every major is not in it; nor is anything of `REFUSED`.
    """
    workers = math.floor(cpus) if cpus else _PARALLEL_WORKERS
    settings = {
        # Documentation, Resource Consumption: a quarter of the memory; PGTune has the same.
        "shared_buffers": f"{memory // 4}MB",
        # PGTune: three quarters. Nothing is taken: the planner learns what shared buffers and page cache may hold.
        "effective_cache_size": f"{memory * 3 // 4}MB",
        "work_mem": f"{_work_mem(memory, connections, workers)}kB",
        "hash_mem_multiplier": f"{_HASH_MULTIPLIER}",
        # PGTune: a sixteenth, 2 GB at most. One index at a time is made with it.
        "maintenance_work_mem": f"{min(memory // 16, 2048)}MB",
        # Documentation, autovacuum_work_mem: three of them may run at once, so each gets less. 32 MB hold the places
        # of five million dead rows; before 17 no more than 1 GB is of use.
        "autovacuum_work_mem": f"{min(memory // 64, 1024)}MB",
        # PGTune: 1 GB (PostgreSQL's own) to 8 GB. After a checkpoint every page is logged whole, so few of them; the
        # price is disk, and the time of a recovery. min_wal_size stays at 80 MB, so that a small volume is not filled.
        "max_wal_size": f"{min(max(memory * 2, 1024), 8192)}MB",
        # Documentation, WAL Configuration: as above, and spread over the time in between (the default since 14).
        "checkpoint_timeout": "15min",
        "checkpoint_completion_target": "0.9",
        # Documentation, random_page_cost: 1.1 where a page out of turn costs little more, as on solid-state disks.
        "random_page_cost": "1.1",
        # Documentation, When to JIT: it pays for queries of seconds; those of MLflow are compiled longer than they run.
        "jit": "off",
        # A table that was just filled is planned as if it were empty until autovacuum has looked, once a minute.
        "autovacuum_naptime": "15s",
        # Documentation, Index-Only Scans: they need pages that a vacuum has marked. Tables that only grow get one after
        # a fifth of new rows; a twentieth keeps the newest runs, which are asked for most, among the marked.
        "autovacuum_vacuum_insert_scale_factor": "0.05",
    }
    if major >= 15:
        # Documentation, wal_compression: whole pages are logged compressed. Of MLflow's, which are mostly keys, `lz4`
        # saves a quarter and costs nothing to speak of; `pglz`, all there is before 15, saves a tenth, and takes as
        # long as everything else that a batch of a run does.
        settings["wal_compression"] = "lz4"
    if major < 18:
        # Documentation, effective_io_concurrency: hundreds on solid-state disks. 18 has another default, for its own
        # way of reading.
        settings["effective_io_concurrency"] = "200"
    if cpus:
        # PGTune: half of the processors for one query, four at most, and no more workers than processors in all.
        one_query = str(min(workers // 2, 4))
        settings |= {
            # Others than parallel ones have their place among the eight.
            "max_worker_processes": str(max(workers, _PARALLEL_WORKERS)),
            "max_parallel_workers": str(workers),
            "max_parallel_workers_per_gather": one_query,
            "max_parallel_maintenance_workers": one_query,
        }
    return dict(sorted(settings.items()))


def _work_mem(memory: int, connections: int, workers: int) -> int:
    """Memory of one sort, in kB.

    Half of the server's memory is for sorts and hashes. PGTune counts three for each connection; here a few are
    expected at once, and the parallel workers beside them, but each as a hash, which takes the most.
    """
    at_once = math.ceil(connections / _CONNECTIONS_PER_SORT) + workers
    return min(memory * 1024 // 2 // _HASH_MULTIPLIER // at_once, _LARGEST_WORK_MEM)

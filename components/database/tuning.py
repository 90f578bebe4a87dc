"""PostgreSQL's settings, computed from the limits of its container, and the settings that nobody may choose."""

from __future__ import annotations

import math

# PostgreSQL's default, which stays in force without a limit on the processors.
_PARALLEL_WORKERS = 8

# The default since 15. The default of 13 and 14 is 1: they would write hashes to disk that others keep in memory.
_HASH_MULTIPLIER = 2

# One in this many connections sorts or hashes at a time. A worker has a pool for runs and one for registered models. It
# rarely uses both, and spends most of a search in Python.
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
"""Settings that nobody may choose, with the reason."""


def settings_for(memory: int, cpus: float, connections: int, major: int) -> dict[str, str]:
    """The settings of a server with `memory` MiB, `cpus` processors (0 means all) and so many connections.

    Settings whose default is right in every major version are left out, and so are those of `REFUSED`.
    """
    workers = math.floor(cpus) if cpus else _PARALLEL_WORKERS
    settings = {
        # Documentation, Resource Consumption: a quarter of the memory; PGTune has the same.
        "shared_buffers": f"{memory // 4}MB",
        # PGTune: three quarters. It allocates nothing: the planner assumes this size of shared buffers and page cache.
        "effective_cache_size": f"{memory * 3 // 4}MB",
        "work_mem": f"{_work_mem(memory, connections, workers)}kB",
        "hash_mem_multiplier": f"{_HASH_MULTIPLIER}",
        # PGTune: a sixteenth, 2 GB at most. One index at a time is made with it.
        "maintenance_work_mem": f"{min(memory // 16, 2048)}MB",
        # Documentation, autovacuum_work_mem: three workers may run at once, so each gets less. 32 MB hold the row ids
        # of five million dead rows. Before 17, more than 1 GB is not used.
        "autovacuum_work_mem": f"{min(memory // 64, 1024)}MB",
        # PGTune: 1 GB (PostgreSQL's default) to 8 GB. After a checkpoint whole pages are logged, so there should be few
        # checkpoints. The cost is disk space, and a longer recovery. min_wal_size stays at 80 MB for small volumes.
        "max_wal_size": f"{min(max(memory * 2, 1024), 8192)}MB",
        # Documentation, WAL Configuration: few checkpoints, spread over the time in between (the default since 14).
        "checkpoint_timeout": "15min",
        "checkpoint_completion_target": "0.9",
        # Documentation, random_page_cost: 1.1 where random access costs little more, as on solid-state disks.
        "random_page_cost": "1.1",
        # Documentation, When to JIT: it helps queries of seconds. Compiling MLflow's takes longer than running them.
        "jit": "off",
        # Until autovacuum has analysed a table that was just filled, it is planned as if it were empty. Default: 1 min.
        "autovacuum_naptime": "15s",
        # Documentation, Index-Only Scans: they need pages that vacuum has marked all-visible. By default a table that
        # only grows is vacuumed after 20% new rows. With 5% the newest runs, which are read most, are marked as well.
        "autovacuum_vacuum_insert_scale_factor": "0.05",
    }
    if major >= 15:
        # Documentation, wal_compression: whole pages are compressed in the log. Of MLflow's pages `lz4` saves a quarter
        # at almost no cost. `pglz`, the only method before 15, saves a tenth, and doubles the time of a batch.
        settings["wal_compression"] = "lz4"
    if major < 18:
        # Documentation, effective_io_concurrency: hundreds on solid-state disks. 18 reads differently and has another
        # default.
        settings["effective_io_concurrency"] = "200"
    if cpus:
        # PGTune: half of the processors for one query, at most four, and no more workers in total than processors.
        one_query = str(min(workers // 2, 4))
        settings |= {
            # Not only parallel workers are among the eight.
            "max_worker_processes": str(max(workers, _PARALLEL_WORKERS)),
            "max_parallel_workers": str(workers),
            "max_parallel_workers_per_gather": one_query,
            "max_parallel_maintenance_workers": one_query,
        }
    return dict(sorted(settings.items()))


def _work_mem(memory: int, connections: int, workers: int) -> int:
    """Memory of one sort, in kB.

    Half of the server's memory is for sorts and hashes. PGTune assumes three for each connection. Here only some
    connections and all parallel workers sort at once, and each is counted as a hash, which takes the most.
    """
    at_once = math.ceil(connections / _CONNECTIONS_PER_SORT) + workers
    return min(memory * 1024 // 2 // _HASH_MULTIPLIER // at_once, _LARGEST_WORK_MEM)

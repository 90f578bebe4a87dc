"""Fills the stores with the same rows on every system, directly into the tables that MLflow created."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import psycopg
from psycopg import sql

from bench import run_data, trace_data
from bench.connection import API, Connection, WrongAnswerError
from bench.environment import BenchError, progress
from bench.run_data import Rows
from bench.searches import Tally
from bench.systems import System

BATCH = 1_000
VACUUM = "VACUUM (ANALYZE)"


@dataclass(frozen=True)
class Experiments:
    """Ids of the experiments, the same on every system."""

    runs: str
    history: str
    traces: str
    logged: str
    """The logging tasks write into this one."""


class PostgresWriter:
    """Writes as the server's role, over the port on loopback."""

    def __init__(self, conninfo: str) -> None:
        self._connection = psycopg.connect(conninfo)

    def write(self, rows: Rows) -> None:
        for table, (columns, values) in rows.items():
            statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
                sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
            )
            with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
                for value in values:
                    copy.write_row(value)

    def finish(self) -> None:
        self._connection.commit()
        self._connection.close()


class SqliteWriter:
    """Writes into the file while its server is idle."""

    def __init__(self, file: str) -> None:
        # Different threads of the pool write, but never two at once.
        self._connection = sqlite3.connect(file, check_same_thread=False)
        # With the default of 2 MB, seeding would take hours. It applies to this connection only.
        self._connection.execute("PRAGMA cache_size = -1000000")

    def write(self, rows: Rows) -> None:
        for table, (columns, values) in rows.items():
            marks = ", ".join("?" * len(columns))
            self._connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", values)

    def finish(self) -> None:
        self._connection.commit()
        self._connection.close()


class Stores:
    """The stores of all systems."""

    def __init__(self, systems: Sequence[System], seed: int) -> None:
        self._sides = systems
        self._seed = seed
        self.size = 0
        """Runs in the store."""
        self.tally = Tally()
        self.traces: list[trace_data.Trace] = []
        self.history_run = ""
        ids = {self._make_experiments(system) for system in systems}
        if len(ids) != 1:
            raise BenchError(f"the systems gave their new experiments different ids: {ids}")
        self.experiments = Experiments(*ids.pop())

    def fill(self) -> None:
        """Write everything that does not grow: the long history, the traces and the registered models."""
        progress(f"seeding {trace_data.TRACES:,} traces, {trace_data.MODELS:,} models, {run_data.STEPS:,} steps")
        where = self.experiments
        self.traces = list(trace_data.traces(0, trace_data.TRACES, self._seed))

        def batches() -> Iterator[Rows]:
            self.history_run, rows = run_data.history_rows(int(where.history), self._seed)
            yield rows
            yield trace_data.model_rows(self.history_run, int(where.history))
            for first in range(0, len(self.traces), BATCH):
                yield trace_data.trace_rows(self.traces[first : first + BATCH], int(where.traces))

        self._write(batches())

    def grow(self, size: int) -> None:
        """Add runs up to a size, then vacuum and analyze PostgreSQL."""
        progress(f"seeding {size - self.size:,} runs on each system")

        def batches() -> Iterator[Rows]:
            numbers = run_data.runs(self.size, size, self._seed)
            while batch := list(itertools.islice(numbers, BATCH)):
                self.tally.count(batch)
                yield run_data.run_rows(batch, int(self.experiments.runs))

        self._write(batches())
        self.size = size
        for system in self._sides:
            if system.postgres:
                # So many runs take days, in which autovacuum would have done this. SQLite has none.
                system.psql(VACUUM)

    def _write(self, batches: Iterator[Rows]) -> None:
        writers = [_writer(system) for system in self._sides]
        with ThreadPoolExecutor(len(writers)) as pool:
            for batch in batches:
                for written in [pool.submit(writer.write, batch) for writer in writers]:
                    written.result()
        for writer in writers:
            writer.finish()

    @staticmethod
    def _make_experiments(system: System) -> tuple[str, str, str, str]:
        def make(name: str) -> str:
            return system.retry(lambda connection: _experiment(connection, name))

        return make("runs"), make("history"), make("traces"), make("logged")


def _experiment(connection: Connection, name: str) -> str:
    """The id of an experiment. Creates it if it does not exist."""
    with suppress(WrongAnswerError):
        return str(
            connection.get_json(f"{API}/experiments/get-by-name", experiment_name=name)["experiment"]["experiment_id"]
        )
    return str(connection.post_json(f"{API}/experiments/create", {"name": name})["experiment_id"])


def _writer(system: System) -> PostgresWriter | SqliteWriter:
    return SqliteWriter(str(system.file)) if system.file else PostgresWriter(system.conninfo)

"""Fills the stores with the same rows on every system, directly into the tables that MLflow created."""

from __future__ import annotations

import itertools
import re
import sqlite3
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import psycopg
from psycopg import sql

from bench import run_data, trace_data
from bench.connection import API, Connection, WrongAnswerError
from bench.environment import BenchError, progress
from bench.fasttrackml import own_rows
from bench.run_data import Rows, Value
from bench.searches import Tally
from bench.systems import System

BATCH = 1_000
_SPECIAL = re.compile(r"[\\\t\n\r]")
_COPIED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
"""How COPY writes the characters that have a meaning in its text format."""


@dataclass(frozen=True)
class Experiments:
    """Ids of the experiments, the same on every system."""

    runs: str
    history: str
    traces: str
    logged: str
    """The logging tasks write into this one."""


@dataclass(frozen=True)
class Batch:
    """Some rows, with the texts of COPY that they have in common on most systems."""

    rows: Rows
    texts: dict[str, str]


def batch_of(rows: Rows) -> Batch:
    return Batch(rows, copied(rows))


def copied(rows: Rows) -> dict[str, str]:
    """The rows by table in the text format of COPY. To write it here once is faster than row by row on each system."""
    return {
        table: "".join(["\t".join(map(_copied, row)) + "\n" for row in values]) for table, (_, values) in rows.items()
    }


def _copied(value: Value) -> str:
    if isinstance(value, str):
        return value.translate(_COPIED) if _SPECIAL.search(value) else value
    return r"\N" if value is None else str(value)


class PostgresWriter:
    """Writes as the server's role, over the port on loopback."""

    def __init__(self, system: System) -> None:
        self._connection = psycopg.connect(system.conninfo)
        self._system = system

    def write(self, batch: Batch) -> None:
        rows, texts = batch.rows, batch.texts
        if self._system.partial:
            rows = own_rows(rows)
            texts = copied(rows)
        for table, (columns, _) in rows.items():
            statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
                sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
            )
            with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
                copy.write(texts[table])

    def finish(self) -> None:
        self._connection.commit()
        self._connection.close()
        # So many runs take days, in which autovacuum and checkpoints would have done this.
        self._system.psql("VACUUM (ANALYZE)", "CHECKPOINT")


class SqliteWriter:
    """Writes into the file while its server is idle."""

    def __init__(self, file: str) -> None:
        # Different threads of the pool write, but never two at once.
        self._connection = sqlite3.connect(file, check_same_thread=False)
        # With the default of 2 MB, seeding would take hours. It applies to this connection only.
        self._connection.execute("PRAGMA cache_size = -1000000")

    def write(self, batch: Batch) -> None:
        for table, (columns, values) in batch.rows.items():
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
        self.history_runs: dict[int, str] = {}
        """The runs with a long history, by its steps."""
        ids = {make_experiments(system) for system in systems}
        if len(ids) != 1:
            raise BenchError(f"the systems gave their new experiments different ids: {ids}")
        (self.experiments,) = ids

    def fill(self) -> None:
        """Write everything that does not grow: the long history, the traces and the registered models."""
        progress(f"seeding {trace_data.TRACES:,} traces, {trace_data.MODELS:,} models, {sum(run_data.STEPS):,} steps")
        where = self.experiments
        self.traces = list(trace_data.traces(0, trace_data.TRACES, self._seed))

        def batches() -> Iterator[Rows]:
            for steps in run_data.STEPS:
                self.history_runs[steps], rows = run_data.history_rows(steps, int(where.history), self._seed)
                yield rows
            yield trace_data.model_rows(self.history_runs[run_data.STEPS[0]], int(where.history))
            for first in range(0, len(self.traces), BATCH):
                yield trace_data.trace_rows(self.traces[first : first + BATCH], int(where.traces))

        self._write(batches())

    def grow(self, size: int) -> float:
        """Add runs up to a size, then vacuum and analyze PostgreSQL. Returns the seconds that it took."""
        progress(f"seeding {size - self.size:,} runs on each system")
        began = time.monotonic()

        def batches() -> Iterator[Rows]:
            numbers = run_data.runs(self.size, size, self._seed)
            while batch := list(itertools.islice(numbers, BATCH)):
                self.tally.count(batch)
                yield run_data.run_rows(batch, int(self.experiments.runs))

        self._write(batches())
        self.size = size
        return time.monotonic() - began

    def _write(self, batches: Iterator[Rows]) -> None:
        writers = [_writer(system) for system in self._sides]
        with ThreadPoolExecutor(len(writers)) as pool:
            written: list[Future[None]] = []
            for batch in map(batch_of, batches):
                # The next batch is made while the systems write this one.
                for each in written:
                    each.result()
                written = [pool.submit(writer.write, batch) for writer in writers]
            for each in written:
                each.result()
            list(pool.map(lambda writer: writer.finish(), writers))


def make_experiments(system: System) -> Experiments:
    """Create the experiments of a new system."""

    def make(name: str) -> str:
        return system.retry(lambda connection: _experiment(connection, name))

    return Experiments(make("runs"), make("history"), make("traces"), make("logged"))


def _experiment(connection: Connection, name: str) -> str:
    """The id of an experiment. Creates it if it does not exist."""
    with suppress(WrongAnswerError):
        return str(
            connection.get_json(f"{API}/experiments/get-by-name", experiment_name=name)["experiment"]["experiment_id"]
        )
    return str(connection.post_json(f"{API}/experiments/create", {"name": name})["experiment_id"])


def _writer(system: System) -> PostgresWriter | SqliteWriter:
    return SqliteWriter(str(system.file)) if system.file else PostgresWriter(system)

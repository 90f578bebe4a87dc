"""Fill the stores that MLflow itself made: the same rows on every side, written straight into the tables."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import psycopg
from psycopg import sql

from bench import data, trace_data
from bench.data import Rows
from bench.room import BenchError, say
from bench.searches import Tally
from bench.sides import Side
from bench.wire import API, Wire, WrongAnswerError

BATCH = 1_000
VACUUM = "VACUUM (ANALYZE)"


@dataclass(frozen=True)
class Experiments:
    """Ids of the experiments, the same on every side."""

    runs: str
    history: str
    traces: str
    logged: str
    """What the logging cells write into."""


class PostgresWriter:
    """Writes as the server's role, through the port on loopback."""

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
    """Writes into the file while its server has nothing to do."""

    def __init__(self, file: str) -> None:
        # A thread of the pool writes, and not always the same one; never two at a time.
        self._connection = sqlite3.connect(file, check_same_thread=False)
        # Of this connection alone; with the usual 2 MB the seeding would take hours.
        self._connection.execute("PRAGMA cache_size = -1000000")

    def write(self, rows: Rows) -> None:
        for table, (columns, values) in rows.items():
            marks = ", ".join("?" * len(columns))
            self._connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", values)

    def finish(self) -> None:
        self._connection.commit()
        self._connection.close()


class Stores:
    """The stores of all sides: filled once with what does not grow, and grown in place."""

    def __init__(self, sides: Sequence[Side], seed: int) -> None:
        self._sides = sides
        self._seed = seed
        self.size = 0
        """Runs in the store."""
        self.tally = Tally()
        self.traces: list[trace_data.Trace] = []
        self.history_run = ""
        ids = {self._make_experiments(side) for side in sides}
        if len(ids) != 1:
            raise BenchError(f"the sides gave their new experiments different ids: {ids}")
        self.experiments = Experiments(*ids.pop())

    def fill(self) -> None:
        """Write the long history, the traces and the registered models."""
        say(f"seeding {trace_data.TRACES:,} traces, {trace_data.MODELS:,} models, {data.STEPS:,} steps")
        where = self.experiments
        self.traces = list(trace_data.traces(0, trace_data.TRACES, self._seed))

        def batches() -> Iterator[Rows]:
            self.history_run, rows = data.history_rows(int(where.history), self._seed)
            yield rows
            yield trace_data.model_rows(self.history_run, int(where.history))
            for first in range(0, len(self.traces), BATCH):
                yield trace_data.trace_rows(self.traces[first : first + BATCH], int(where.traces))

        self._write(batches())

    def grow(self, size: int) -> None:
        """Write as many more runs as are missing to a size, then have PostgreSQL look at its tables."""
        say(f"seeding {size - self.size:,} runs on each side")

        def batches() -> Iterator[Rows]:
            numbers = data.runs(self.size, size, self._seed)
            while batch := list(itertools.islice(numbers, BATCH)):
                self.tally.count(batch)
                yield data.run_rows(batch, int(self.experiments.runs))

        self._write(batches())
        self.size = size
        for side in self._sides:
            if side.postgres:
                # Autovacuum would have done so in the days that so many runs take. SQLite has no such thing.
                side.psql(VACUUM)

    def _write(self, batches: Iterator[Rows]) -> None:
        writers = [_writer(side) for side in self._sides]
        with ThreadPoolExecutor(len(writers)) as pool:
            for batch in batches:
                for written in [pool.submit(writer.write, batch) for writer in writers]:
                    written.result()
        for writer in writers:
            writer.finish()

    @staticmethod
    def _make_experiments(side: Side) -> tuple[str, str, str, str]:
        def make(name: str) -> str:
            return side.patiently(lambda wire: _experiment(wire, name))

        return make("runs"), make("history"), make("traces"), make("logged")


def _experiment(wire: Wire, name: str) -> str:
    """The id of an experiment, made if it is not there."""
    with suppress(WrongAnswerError):
        return str(wire.read(f"{API}/experiments/get-by-name", experiment_name=name)["experiment"]["experiment_id"])
    return str(wire.write(f"{API}/experiments/create", {"name": name})["experiment_id"])


def _writer(side: Side) -> PostgresWriter | SqliteWriter:
    return SqliteWriter(str(side.file)) if side.file else PostgresWriter(side.conninfo)

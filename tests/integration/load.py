"""A load of writes on a tracking server, and what became of them: lost, failed, or how long they waited."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import psycopg

from .harness import ROOT, wait_for

FIRST_WRITES = 120
"""Seconds for all clients to import MLflow and to have one write each acknowledged."""

PATIENCE = 300
"""Seconds to wait for more writes. MLflow tries again 0, 4, 12, 28, 60, 124 and 244 s after the first failure and then
gives up: after an outage of 130 s every client is silent for two more minutes, and no one has failed."""

LAST_WRITE = 150
"""Seconds for a client that is told to stop to finish its write. MLflow's longest pause between two tries is 120 s."""

STORED = {
    "run": "runs WHERE run_uuid = run_id",
    "end": "runs WHERE run_uuid = run_id AND status = 'FINISHED'",
    "metric": "metrics AS kept WHERE run_uuid = run_id AND kept.key = written.key"
    " AND kept.step = written.value::bigint AND kept.value = written.value::float8",
    "param": "params AS kept WHERE run_uuid = run_id AND kept.key = written.key AND kept.value = written.value",
    "tag": "tags AS kept WHERE run_uuid = run_id AND kept.key = written.key AND kept.value = written.value",
}
"""By kind of write, the row that an acknowledged one has left."""


class Write(NamedTuple):
    kind: str
    """A key of STORED."""
    run_id: str
    key: str
    value: str
    """A metric's is its step, too."""


@dataclass(frozen=True)
class Report:
    acknowledged: list[Write]
    errors: list[str]
    """What MLflow's own retries did not absorb, and how a client ended that did not end when it was told to."""
    longest_wait: float
    """Seconds that the slowest write took, acknowledged or not, retries included."""


class Client:
    """One process of the load, and the folder that it leaves its marks in."""

    def __init__(self, folder: Path, order: str) -> None:
        folder.mkdir()
        self.folder = folder
        self.killed = False
        settings = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
        with (folder / "said").open("w") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.load_client", folder / "acknowledged", folder / "errors"],
                cwd=ROOT,
                env={**settings, "MLFLOW_DISABLE_TELEMETRY": "true"},
                stdin=subprocess.PIPE,
                # MLflow prints the address of every run that ends.
                stdout=subprocess.DEVNULL,
                stderr=said,
                text=True,
            )
        # Not by its environment, where the process list would show a password.
        print(order, file=self.process.stdin, flush=True)

    def ended(self) -> bool:
        return self.process.poll() is not None

    def stop(self) -> None:
        """Tell it to finish its write and to end, and return at once."""
        assert self.process.stdin
        self.process.stdin.close()

    def kill(self) -> None:
        """End it now, if it has not ended by itself."""
        self.killed = not self.ended()
        self.process.kill()
        self.process.wait()

    def count(self) -> int:
        """Number of its acknowledged writes up to now."""
        path = self.folder / "acknowledged"
        return path.read_bytes().count(b"\n") if path.exists() else 0

    def lines(self, name: str) -> list[list[Any]]:
        """What it has written into a file up to now, but for a line that is not finished."""
        path = self.folder / name
        whole = path.read_text().rpartition("\n")[0] if path.exists() else ""
        return [json.loads(line) for line in whole.splitlines()]

    def errors(self) -> list[str]:
        errors = [error for error, _ in self.lines("errors")]
        if self.killed:
            errors.append(f"client {self.folder.name} had not ended by itself and was killed, in a write or before one")
        elif self.process.returncode:
            errors.append(f"client {self.folder.name} ended with {self.process.returncode}: {self.said()}")
        return errors

    def said(self) -> str:
        return (self.folder / "said").read_text()[-2_000:]


class Load:
    """Clients that log to a server while a block lasts, each a process of its own, with MLflow's default retries.

    `environment` holds settings of MLflow's, such as MLFLOW_TRACKING_PASSWORD; the test's own ones do not count.
    `report` is there after the block. A block that fails kills the clients at once.
    """

    report: Report

    def __init__(self, url: str, *, clients: int = 8, environment: dict[str, str] | None = None) -> None:
        self._order = json.dumps({"url": url, "environment": environment or {}})
        self._size = clients
        self._clients: list[Client] = []
        self._ended = False

    def __enter__(self) -> Load:
        """Returns when every client has written once; a test fails, with what they met, when that takes too long."""
        self._folder = tempfile.TemporaryDirectory(prefix="mlflow-postgres-load-")
        try:
            for number in range(self._size):
                self._clients.append(Client(Path(self._folder.name, str(number)), self._order))
            self._wait(lambda: all(each.count() for each in self._clients), "a write of every client", FIRST_WRITES)
        except BaseException:
            self._end(patience=0)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(patience=0 if error else LAST_WRITE)

    def wait_for_writes(self, more: int) -> None:
        """Wait until so many more writes than now are acknowledged; a test fails when that takes too long."""
        aim = self._count() + more
        self._wait(lambda: self._count() >= aim, f"{more} more acknowledged writes", PATIENCE)

    def missing(self, connection: psycopg.Connection) -> list[Write]:
        """The writes acknowledged up to now that a database does not hold. The role needs SELECT, and nothing else."""
        acknowledged = self._acknowledged()
        missing = []
        for kind, stored in STORED.items():
            written = [write[1:] for write in acknowledged if write.kind == kind]
            absent = connection.execute(
                "SELECT run_id, key, value FROM unnest(%s::text[], %s::text[], %s::text[])"
                f" AS written (run_id, key, value) WHERE NOT EXISTS (SELECT FROM public.{stored})",
                [[write[column] for write in written] for column in range(3)],
            )
            missing += [Write(kind, *row) for row in absent]
        return missing

    def _acknowledged(self) -> list[Write]:
        if self._ended:
            return self.report.acknowledged
        return [Write(*line[:-1]) for each in self._clients for line in each.lines("acknowledged")]

    def _count(self) -> int:
        return sum(each.count() for each in self._clients)

    def _errors(self) -> list[str]:
        return [error for each in self._clients for error in each.errors()]

    def _wait(self, condition: Callable[[], bool], what: str, seconds: int) -> None:
        """Wait for a condition, but not on clients that are no more; a failure says what the clients met."""

        def one_ended() -> bool:
            return any(each.ended() for each in self._clients)

        with suppress(AssertionError):
            wait_for(lambda: condition() or one_ended(), what, seconds)
        if condition():
            return
        why = "a client ended" if one_ended() else f"{seconds} s passed"
        errors = self._errors()
        said = [each.said() for each in self._clients if each.said()]
        raise AssertionError(
            f"{why} before the load had {what}: {self._count()} writes were acknowledged, {len(errors)} errors,"
            f" the last ones {errors[-3:]}; a client said {said[-1:]}"
        )

    def _end(self, patience: float) -> None:
        """Stop the clients, kill those that are not done in time, and read what all of them have left."""
        for each in self._clients:
            each.stop()
        with suppress(AssertionError):
            wait_for(lambda: all(each.ended() for each in self._clients), "the end of the clients", patience)
        for each in self._clients:
            each.kill()
        acknowledged = [line for each in self._clients for line in each.lines("acknowledged")]
        seconds = [line[-1] for line in acknowledged]
        seconds += [line[-1] for each in self._clients for line in each.lines("errors")]
        self.report = Report([Write(*line[:-1]) for line in acknowledged], self._errors(), max(seconds, default=0.0))
        self._ended = True
        self._folder.cleanup()

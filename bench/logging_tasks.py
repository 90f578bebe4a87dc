"""The logging tasks: concurrent client processes, with MLflow's client and with plain HTTP."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

from bench.connection import OverLimitError, WrongAnswerError
from bench.environment import ROOT, BenchError
from bench.processor import Processor, processor_time
from bench.span_data import SPANS
from bench.systems import System
from bench.task import Task

CLIENTS = (1, 8, 16)
LOGGING = "logging"
_START = 180
"""Seconds in which all client processes must have imported MLflow."""


class Client:
    """A process that waits for commands. It lives for the whole run, because importing MLflow takes seconds."""

    def __init__(self, module: str = "bench.logging_client") -> None:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=ROOT,
            env={
                **environment,
                "MLFLOW_DISABLE_TELEMETRY": "true",
                "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            # Ctrl-C must reach the benchmark alone, which then ends the clients.
            start_new_session=True,
        )

    def send(self, command: dict[str, Any]) -> None:
        assert self._process.stdin
        print(json.dumps(command), file=self._process.stdin, flush=True)

    def receive(self, end: float) -> dict[str, Any]:
        """The next answer. Raises OverLimitError after the time `end`, BenchError if the process has ended."""
        assert self._process.stdout
        if not select.select([self._process.stdout], [], [], max(0.0, end - time.monotonic()))[0]:
            raise OverLimitError("a client")
        line = self._process.stdout.readline()
        if not line:
            raise BenchError(f"a client process ended with exit code {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


class Clients:
    """The client processes, as many as the largest task needs."""

    def __init__(self, count: int) -> None:
        self._clients = [Client() for _ in range(count)]

    def wait(self) -> None:
        """Wait until all have imported MLflow."""
        end = time.monotonic() + _START
        for client in self._clients:
            client.receive(end)

    def run(self, count: int, command: dict[str, Any], timeout: float) -> list[dict[str, Any]]:
        """Send one command to `count` clients, and return their answers. Raises OverLimitError, BenchError.

        A client that has not answered after `timeout` seconds is ended and replaced.
        """
        for client in self._clients[:count]:
            client.send(command)
        end = time.monotonic() + timeout
        answers, late = [], []
        for place, client in enumerate(self._clients[:count]):
            try:
                answers.append(client.receive(end))
            except OverLimitError:
                late.append(place)
        for place in late:
            self._clients[place].stop()
            self._clients[place] = Client()
            self._clients[place].receive(time.monotonic() + _START)
        if late:
            raise OverLimitError(f"{len(late)} of {count} clients")
        return answers

    def stop(self) -> None:
        for client in self._clients:
            client.stop()


@dataclass(frozen=True)
class Kind:
    """What the clients of a logging task do."""

    work: str
    """A key of `bench.logging_client.WORK`."""
    label: str
    unit: str
    clients: tuple[int, ...]
    units: int = 1
    """Units in one call of the client."""

    def task_name(self, clients: int) -> str:
        return f"{clients} {self.label}"


CLIENT_RUNS = Kind("runs, MLflow's client", "logging, MLflow's client", "runs/s", CLIENTS)
RUNS = Kind("runs", "logging, plain HTTP", "runs/s", CLIENTS)
STEPS = Kind("steps", "log_metric per step, plain HTTP", "calls/s", CLIENTS)
TRACES = Kind("traces", "OTLP, plain HTTP", "spans/s", (1, 8), SPANS)
KINDS = (CLIENT_RUNS, RUNS, STEPS, TRACES)


@dataclass
class Logging(Task):
    """The speed of some clients, summed."""

    clients: int
    kind: Kind
    pool: Clients
    experiment: str
    seconds: float
    limit: float
    group: str = LOGGING
    _processor: Processor | None = None
    _share: float | None = None

    def __post_init__(self) -> None:
        self.name = self.kind.task_name(self.clients)
        self.unit = self.kind.unit

    def measure(self, system: System) -> list[float]:
        command = {
            "work": self.kind.work,
            "url": system.url,
            "experiment": self.experiment,
            "seconds": self.seconds,
            "login": system.login,
        }
        with processor_time(system) as taken:
            answers = self.pool.run(self.clients, command, self.seconds + self.limit)
        errors = [error for answer in answers for error in answer["errors"]]
        if errors:
            raise WrongAnswerError(f"{len(errors)} errors, such as {errors[0]}")
        self._processor = taken.each(sum(answer["done"] for answer in answers) * self.kind.units)
        self._share = sum(answer["cpu"] / answer["seconds"] for answer in answers) / len(answers)
        return [sum(answer["done"] / answer["seconds"] for answer in answers) * self.kind.units]

    def processor(self) -> Processor | None:
        return self._processor

    def client_share(self) -> float | None:
        return self._share


def logging_tasks(pool: Clients, experiment: str, seconds: float, limit: float) -> list[Logging]:
    return [Logging(clients, kind, pool, experiment, seconds, limit) for kind in KINDS for clients in kind.clients]

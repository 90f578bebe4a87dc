"""The logging work: 1, 8 and 16 clients at a time, each a process, through MLflow's client and through plain HTTP."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any, Literal

from bench.measure import Task
from bench.room import ROOT, BenchError
from bench.sides import Side
from bench.wire import OverLimitError, WrongAnswerError

CLIENTS = (1, 8, 16)
LOGGING = "logging"
Mode = Literal["mlflow", "http"]
_START = 180
"""Seconds for all client processes to import MLflow."""


def cell_name(clients: int, mode: Mode) -> str:
    through = {"mlflow": "MLflow's client", "http": "plain HTTP"}[mode]
    return f"{clients} logging, {through}"


class Client:
    """A process that waits for orders. It lives as long as the run: importing MLflow takes it a second or more."""

    def __init__(self) -> None:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.client"],
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
            # Ctrl-C is for the program that ends them.
            start_new_session=True,
        )

    def tell(self, order: dict[str, Any]) -> None:
        assert self._process.stdin
        print(json.dumps(order), file=self._process.stdin, flush=True)

    def answer(self, end: float) -> dict[str, Any]:
        """The next answer. Raises OverLimitError when there is none by then, BenchError when there will be none."""
        assert self._process.stdout
        if not select.select([self._process.stdout], [], [], max(0.0, end - time.monotonic()))[0]:
            raise OverLimitError("a client")
        line = self._process.stdout.readline()
        if not line:
            raise BenchError(f"a client process ended by itself, with {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


class Clients:
    """As many client processes as there are at most at a time."""

    def __init__(self, count: int) -> None:
        self._clients = [Client() for _ in range(count)]

    def wait(self) -> None:
        """Return when all have imported MLflow."""
        end = time.monotonic() + _START
        for client in self._clients:
            client.answer(end)

    def order(self, count: int, order: dict[str, Any], patience: float) -> list[dict[str, Any]]:
        """Have some of them do the same at the same time; their answers. Raises OverLimitError, BenchError.

        `patience` is in seconds. Who has not answered by then is ended, and another takes the place.
        """
        for client in self._clients[:count]:
            client.tell(order)
        end = time.monotonic() + patience
        answers, late = [], []
        for place, client in enumerate(self._clients[:count]):
            try:
                answers.append(client.answer(end))
            except OverLimitError:
                late.append(place)
        for place in late:
            self._clients[place].stop()
            self._clients[place] = Client()
            self._clients[place].answer(time.monotonic() + _START)
        if late:
            raise OverLimitError(f"{len(late)} of {count} clients")
        return answers

    def stop(self) -> None:
        for client in self._clients:
            client.stop()


@dataclass
class Logging(Task):
    """Runs a second of some clients."""

    clients: int
    mode: Mode
    pool: Clients
    experiment: str
    seconds: float
    limit: float
    group: str = LOGGING
    unit: str = "runs/s"
    _share: float | None = None

    def __post_init__(self) -> None:
        self.name = cell_name(self.clients, self.mode)

    def measure(self, side: Side) -> list[float]:
        order = {
            "mode": self.mode,
            "url": side.url,
            "experiment": self.experiment,
            "seconds": self.seconds,
            "login": side.login,
        }
        answers = self.pool.order(self.clients, order, self.seconds + self.limit)
        errors = [error for answer in answers for error in answer["errors"]]
        if errors:
            raise WrongAnswerError(f"{len(errors)} errors, such as {errors[0]}")
        wall = max(answer["seconds"] for answer in answers)
        self._share = sum(answer["cpu"] for answer in answers) / wall / (os.cpu_count() or 1)
        return [sum(answer["runs"] / answer["seconds"] for answer in answers)]

    def client_share(self) -> float | None:
        return self._share


def logging_tasks(pool: Clients, experiment: str, seconds: float, limit: float) -> list[Logging]:
    modes: tuple[Mode, ...] = ("mlflow", "http")
    return [Logging(clients, mode, pool, experiment, seconds, limit) for clients in CLIENTS for mode in modes]

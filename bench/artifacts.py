"""A big artifact up and down through the server."""

from __future__ import annotations

import http.client
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.measure import Task
from bench.sides import Side
from bench.wire import OverLimitError, WrongAnswerError

ARTIFACTS = "artifacts"
_PATH = "/api/2.0/mlflow-artifacts/artifacts/bench/big.bin"
_MIB = 1 << 20


@dataclass
class Upload(Task):
    """Seconds for a file from the disk to the server."""

    file: Path
    megabytes: int
    limit: float
    group: str = ARTIFACTS
    unit: str = "s"

    def __post_init__(self) -> None:
        self.name = f"artifact of {self.megabytes} MB up"
        block = os.urandom(_MIB)
        with self.file.open("wb") as file:
            for _ in range(self.megabytes):
                file.write(block)

    def measure(self, side: Side) -> list[float]:
        began = time.monotonic()
        with self.file.open("rb") as body:
            _transfer(side, "PUT", self.limit, body)
        return [time.monotonic() - began]


@dataclass
class Download(Task):
    """Seconds for the same file back; what is read is not kept."""

    megabytes: int
    limit: float
    group: str = ARTIFACTS
    unit: str = "s"

    def __post_init__(self) -> None:
        self.name = f"artifact of {self.megabytes} MB down"

    def measure(self, side: Side) -> list[float]:
        began = time.monotonic()
        size = _transfer(side, "GET", self.limit)
        if size != self.megabytes * _MIB:
            raise WrongAnswerError(f"{size} bytes came back instead of {self.megabytes * _MIB}")
        return [time.monotonic() - began]


def _transfer(side: Side, method: str, limit: float, body: Any = None) -> int:
    """Send or fetch the artifact; bytes of the answer. Raises OverLimitError, WrongAnswerError, OSError."""
    end = time.monotonic() + limit
    connection = http.client.HTTPConnection(urlsplit(side.url).netloc, timeout=limit, blocksize=_MIB)
    try:
        connection.request(method, _PATH, body)
        answer = connection.getresponse()
        if answer.status != 200:
            raise WrongAnswerError(f"{method} of the artifact: {answer.status} {answer.read(300)!r}")
        size = 0
        while block := answer.read(_MIB):
            size += len(block)
            if time.monotonic() > end:
                raise OverLimitError(method)
        return size
    except TimeoutError:
        raise OverLimitError(method) from None
    finally:
        connection.close()

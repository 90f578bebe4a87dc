"""Uploads and downloads of a big artifact through the server."""

from __future__ import annotations

import http.client
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.connection import OverLimitError, WrongAnswerError
from bench.systems import System
from bench.task import Task

ARTIFACTS = "artifacts"
_PATH = "/api/2.0/mlflow-artifacts/artifacts/bench/big.bin"
_MIB = 1 << 20


class ArtifactTask(Task):
    """The transfer of one artifact, in seconds."""

    group = ARTIFACTS
    unit = "s"


@dataclass
class Upload(ArtifactTask):
    """Seconds to upload a file from the disk."""

    file: Path
    megabytes: int
    limit: float

    def __post_init__(self) -> None:
        self.name = f"artifact of {self.megabytes} MB up"
        block = os.urandom(_MIB)
        with self.file.open("wb") as file:
            for _ in range(self.megabytes):
                file.write(block)

    def measure(self, system: System) -> list[float]:
        began = time.monotonic()
        with self.file.open("rb") as body:
            _transfer(system, "PUT", self.limit, body)
        return [time.monotonic() - began]


@dataclass
class Download(ArtifactTask):
    """Seconds to download the same file. The bytes are not stored."""

    megabytes: int
    limit: float

    def __post_init__(self) -> None:
        self.name = f"artifact of {self.megabytes} MB down"

    def measure(self, system: System) -> list[float]:
        began = time.monotonic()
        size = _transfer(system, "GET", self.limit)
        if size != self.megabytes * _MIB:
            raise WrongAnswerError(f"downloaded {size} bytes instead of {self.megabytes * _MIB}")
        return [time.monotonic() - began]


def _transfer(system: System, method: str, limit: float, body: Any = None) -> int:
    """Send or fetch the artifact; returns the bytes received. Raises OverLimitError, WrongAnswerError, OSError."""
    end = time.monotonic() + limit
    connection = http.client.HTTPConnection(urlsplit(system.url).netloc, timeout=limit, blocksize=_MIB)
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

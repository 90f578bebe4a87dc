"""What the commands of this package have in common: an environment that is always removed, and the end by a signal."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import docker
from docker.errors import DockerException

from bench.connection import OverLimitError, WrongAnswerError
from bench.environment import BenchError, Environment, progress, stop_requested
from preflight.engine import EngineError, open_engine

Work = Callable[[Environment], int]


def in_environment(output: Path, work: Work) -> int:
    """Do the work, and return its exit code: 1 with a one-line message after an error, 130 after a signal."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, _stop)
    try:
        open_engine().close()
        # The build of an image is a single request, so the timeout covers all of it.
        engine = docker.from_env(timeout=1_800)
        output.mkdir(parents=True, exist_ok=True)
        environment = Environment(engine, output)
        try:
            return work(environment)
        finally:
            for each in (signal.SIGINT, signal.SIGTERM):
                signal.signal(each, signal.SIG_IGN)
            stop_requested.clear()
            progress("removing all containers, networks and volumes")
            environment.remove()
    except (BenchError, EngineError, DockerException, OSError, OverLimitError, WrongAnswerError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _stop(number: int, _: object) -> None:
    """End every thread, so that the benchmark can remove its containers."""
    progress(f"stopped by {signal.Signals(number).name}")
    stop_requested.set()
    raise KeyboardInterrupt

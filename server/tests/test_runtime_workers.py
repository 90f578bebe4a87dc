"""The health check of uvicorn's workers."""

from __future__ import annotations

import threading
import time
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import pytest

from mlflow_postgres.runtime import workers


class Worker(workers.Worker):
    """As uvicorn's, with another program."""

    def __init__(self, process: BaseProcess, ends: tuple[Connection, Connection]) -> None:
        self.process = process  # type: ignore[assignment]  # Any process has a sentinel.
        self.parent_conn, self.child_conn = ends


def answering(end: Connection, started: bool) -> None:
    end.recv()
    end.send(started)
    time.sleep(60)


@pytest.fixture
def ends() -> tuple[Connection, Connection]:
    return Pipe()


@pytest.mark.parametrize("started", [True, False])
def test_a_worker_that_answers_says_whether_it_has_started(ends: tuple[Connection, Connection], started: bool) -> None:
    process = get_context("forkserver").Process(target=answering, args=(ends[1], started))
    process.start()
    try:
        assert Worker(process, ends)._healthcheck(60) is started
    finally:
        process.kill()
        process.join()


def test_a_worker_that_is_killed_before_it_answers_is_not_waited_for(ends: tuple[Connection, Connection]) -> None:
    process = get_context("forkserver").Process(target=time.sleep, args=(60,))
    process.start()
    killed = threading.Timer(0.3, process.kill)
    killed.start()
    began = time.monotonic()
    assert Worker(process, ends)._healthcheck(60) is None
    assert time.monotonic() - began < 30
    killed.join()
    process.join()


def test_a_worker_that_does_not_answer_in_time_has_failed(ends: tuple[Connection, Connection]) -> None:
    process = get_context("forkserver").Process(target=time.sleep, args=(60,))
    process.start()
    try:
        assert Worker(process, ends)._healthcheck(0.1) is None
    finally:
        process.kill()
        process.join()

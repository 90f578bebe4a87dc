"""What is written down of a request: once, by a route that is declared, with the status that the client was sent."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, demo_app, make_server

import pytest

from mlflow_postgres.metrics import server as metrics_server
from mlflow_postgres.metrics.requests import CURRENT_REQUEST, FileSlot, MetricsMiddleware, ObservedRequest
from mlflow_postgres.rest.calls import Route

from . import PYTHONPATH

Message = dict[str, Any]
COUNTING = """
import os, sys
from mlflow_postgres.metrics import requests
os.environ[requests.FOLDER] = sys.argv[1]
from prometheus_client import CollectorRegistry, generate_latest, multiprocess
metrics = requests.RequestMetrics(requests.FileSlot(os.environ[requests.FOLDER]))
metrics.start()
for status, by_application in ((200, True), (200, True), (404, False)):
    request = requests.ObservedRequest()
    request.route, request.status, request.by_application = "/a", status, by_application
    metrics.started()
    metrics.finished("GET", request, 0.1)
registry = CollectorRegistry()
multiprocess.MultiProcessCollector(registry)
print(generate_latest(registry).decode())
"""


class Book:
    """Stands in for the metrics: what was written down, in order."""

    def __init__(self) -> None:
        self.written: list[tuple[str, str | None, int]] = []
        self.by_application = 0
        self.in_flight = 0

    def started(self) -> None:
        self.in_flight += 1

    def finished(self, method: str, request: ObservedRequest, seconds: float) -> None:
        assert seconds >= 0
        self.in_flight -= 1
        self.written.append((method, request.route, request.status))
        self.by_application += request.by_application


def request(application: Callable[..., Any], book: Book, **scope: Any) -> list[Message]:
    """Let an application answer one request; what it sent."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    counted: Any = MetricsMiddleware(application, book)  # type: ignore[arg-type]  # it has what is used of the metrics
    # Not asyncio.run, which takes the session's loop away from the tests of the components.
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(counted({"type": "http", "method": "GET", "path": "/x", **scope}, None, send))
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()
    return sent


async def answers(scope: Message, _: Any, send: Any) -> None:
    scope["route"] = SimpleNamespace(path="/traces/{trace_id}")
    await send({"type": "http.response.start", "status": 404})
    await send({"type": "http.response.body", "body": b"none"})


def test_an_answer_is_written_down_by_its_route_and_its_status() -> None:
    book = Book()
    sent = request(answers, book)
    assert book.written == [("GET", "/traces/{trace_id}", 404)], "by its address each trace would be a series"
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert book.in_flight == 0


def test_an_answer_of_our_application_is_told_from_mlflows() -> None:
    async def ours(scope: Message, *_: Any) -> None:
        scope["route"] = Route("/api/2.0/mlflow/runs/create", call=None)  # type: ignore[arg-type]  # not called

    async def handed_on(*_: Any) -> None:
        CURRENT_REQUEST.get().route = "/api/2.0/mlflow/runs/create"

    book = Book()
    for application in (ours, handed_on, answers):
        request(application, book)
    assert [route for _, route, _ in book.written[:2]] == ["/api/2.0/mlflow/runs/create"] * 2
    assert book.by_application == 1


def test_the_share_of_our_application_can_be_computed_by_route(tmp_path: Path) -> None:
    """In a process of its own: prometheus_client reads the environment when it is imported."""
    done = subprocess.run(
        [sys.executable, "-c", COUNTING, str(tmp_path)],
        env={"PYTHONPATH": PYTHONPATH},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if "requests_total{" in line] == [
        'mlflow_http_requests_total{method="GET",route="/a",status="200"} 2.0',
        'mlflow_http_requests_total{method="GET",route="/a",status="404"} 1.0',
        'mlflow_application_requests_total{method="GET",route="/a"} 2.0',
    ]


def test_a_route_of_flasks_comes_from_the_thread_that_found_it() -> None:
    async def wrapped(_: Message, __: Any, send: Any) -> None:
        def flask_finds_it() -> None:
            CURRENT_REQUEST.get().route = "/api/2.0/mlflow/runs/search"

        await asyncio.to_thread(flask_finds_it)
        await send({"type": "http.response.start", "status": 200})

    book = Book()
    request(wrapped, book)
    assert book.written == [("GET", "/api/2.0/mlflow/runs/search", 200)]


def test_an_application_that_fails_is_a_500_and_fails_still() -> None:
    async def fails(*_: Any) -> None:
        raise ValueError("on purpose")

    book = Book()
    with pytest.raises(ValueError, match="on purpose"):
        request(fails, book)
    assert (book.written, book.in_flight) == ([("GET", None, 500)], 0), "else it would be in flight for ever"


def test_what_is_no_request_is_passed_on_uncounted() -> None:
    seen: list[str] = []

    async def lifespan(scope: Message, *_: Any) -> None:
        seen.append(scope["type"])

    book = Book()
    request(lifespan, book, type="lifespan")
    assert (seen, book.written) == (["lifespan"], [])


def test_each_worker_has_a_place_and_takes_over_that_of_one_that_is_gone(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    first, second, third = (FileSlot(str(tmp_path)) for _ in range(3))
    assert first.name == "parent"
    first.lock()
    second.lock()
    assert (first.name, second.name) == ("0", "1"), "two in one slot would write over each other"
    held = sorted(int(each) for each in os.listdir("/proc/self/fd"))
    # As when the first one's process ends.
    os.close(next(each for each in held if _is(each, tmp_path / "place-0")))
    third.lock()
    assert third.name == "0", "files of its own for each new worker would fill the memory that they are in"
    for each in held:
        if _is(each, tmp_path / "place-1") or _is(each, tmp_path / "place-0"):
            os.close(each)
    assert len(os.listdir("/proc/self/fd")) == before


def _is(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def test_without_a_port_nothing_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("METRICS_PORT", raising=False)
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    metrics_server.serve()
    assert "PROMETHEUS_MULTIPROC_DIR" not in os.environ


def test_who_says_nothing_is_sent_away_and_no_error_is_written(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(metrics_server, "CLIENT_TIMEOUT", 0.05)
    handler = metrics_server.with_timeout(WSGIRequestHandler)
    with (
        make_server("127.0.0.1", 0, demo_app, handler_class=handler) as server,
        socket.create_connection(("127.0.0.1", server.server_port), 10) as silent,
    ):
        server.handle_request()
        assert silent.recv(1) == b""
    assert capfd.readouterr() == ("", "")

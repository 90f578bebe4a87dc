"""Figures about the requests that a worker answers, in files that the whole server's are summed from.

Each worker writes into files of its own in memory, by prometheus_client's way for several processes; the process that
minds the workers reads all of them when it is asked (`server.py`).
"""

import fcntl
import itertools
import os
import time
from collections.abc import Callable
from contextvars import ContextVar

import flask
import uvicorn.config
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..replacement import replace

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Names the folder of those files. Set by `server.py` for the workers, and for nobody else."""
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""In seconds: from a small answer to an upload."""
# What a client makes up would be a new series each, for as long as the server runs.
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
OTHER = "other"


class Answer:
    """What is known of one answer: the route as MLflow declares it, and the status. 500 until there is another one."""

    def __init__(self) -> None:
        self.route: str | None = None
        self.status = 500


ANSWER: ContextVar[Answer] = ContextVar("answer")


class Place:
    """Whose files this process writes into: those of the first worker that is no more, which are gone on with.

    By process id, as is usual, there would be new ones for each worker that is made anew, until the memory is full.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        # In the process that workers are forked from, which answers nothing.
        self.name = "parent"

    def take(self) -> None:
        """Take a place for as long as this process lives."""
        for number in itertools.count():
            held = os.open(os.path.join(self._folder, f"place-{number}"), os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(held)
            else:
                self.name = str(number)
                return


class Figures:
    """The three figures, and who writes them down."""

    def __init__(self, place: Place) -> None:
        # Not above: it reads the environment when it is imported.
        import prometheus_client
        from prometheus_client import values

        # Before the first figure is made, MLflow's own about spans included.
        make: Callable[[Callable[[], str]], type] = values.MultiProcessValue
        replace(values, ValueClass=make(lambda: place.name))
        self._place = place
        self._requests = prometheus_client.Counter(
            "mlflow_http_requests", "Requests that were answered.", ["method", "route", "status"]
        )
        self._durations = prometheus_client.Histogram(
            "mlflow_http_request_duration_seconds",
            "From a request to the end of its answer.",
            ["method", "route"],
            buckets=BUCKETS,
        )
        self._in_flight = prometheus_client.Gauge(
            "mlflow_http_requests_in_flight", "Requests that are being answered.", multiprocess_mode="sum"
        )

    def start(self) -> None:
        """In a worker, before its first request."""
        self._place.take()
        # Left by a worker that was killed.
        self._in_flight.set(0)

    def began(self) -> None:
        self._in_flight.inc()

    def ended(self, method: str, answer: Answer, seconds: float) -> None:
        method, route = method if method in METHODS else OTHER, answer.route or OTHER
        self._in_flight.dec()
        self._requests.labels(method, route, str(answer.status)).inc()
        self._durations.labels(method, route).observe(seconds)


class Counted:
    """An ASGI application, and figures about what it answers."""

    def __init__(self, application: ASGIApp, figures: Figures) -> None:
        self._application, self._figures = application, figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        answer = Answer()

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
            await send(message)

        token = ANSWER.set(answer)
        self._figures.began()
        began = time.perf_counter()
        try:
            await self._application(scope, receive, watched)
        finally:
            # FastAPI leaves its own route here; Flask's part of MLflow is one application to it.
            answer.route = answer.route or getattr(scope.get("route"), "path", None)
            self._figures.ended(scope["method"], answer, time.perf_counter() - began)
            ANSWER.reset(token)


def install() -> None:
    """In the process that workers are forked from, before MLflow is imported."""
    figures = Figures(Place(os.environ[FOLDER]))
    load = uvicorn.config.Config.load

    # Each worker calls this once, and nobody else does.
    def load_and_count(config: uvicorn.config.Config) -> None:
        load(config)
        figures.start()
        config.loaded_app = Counted(config.loaded_app, figures)

    replace(uvicorn.config.Config, load=load_and_count)
    flask.request_started.connect(note_route)


def note_route(*_: object, **__: object) -> None:
    """Flask has found out whom a request is for; this thread's context has come along with the request."""
    rule = flask.request.url_rule
    if rule is not None and (answer := ANSWER.get(None)):
        answer.route = rule.rule


if FOLDER in os.environ:
    install()

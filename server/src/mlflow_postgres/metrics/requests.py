"""Metrics of the requests that the workers answer.

Each worker writes its own files in memory, in prometheus_client's multiprocess mode. The process that supervises the
workers sums the files at every scrape (`server.py`).
"""

import fcntl
import itertools
import os
import time
from collections.abc import Callable
from contextvars import ContextVar

import flask
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..replacement import replace

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The variable with the folder of these files. `server.py` sets it for the workers only."""
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Seconds: from a small response to an upload."""
# Every method that a client invents would be a new time series until the server restarts.
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
OTHER = "other"


class ObservedRequest:
    """The route of a request, as MLflow declares it, and the status of its response: 500 until it is known."""

    def __init__(self) -> None:
        self.route: str | None = None
        self.status = 500
        self.by_application = False
        """Whether our application answered it, and not MLflow behind it."""


CURRENT_REQUEST: ContextVar[ObservedRequest] = ContextVar("request")


class FileSlot:
    """The name of the files that this process writes: the lowest number that no running process uses.

    prometheus_client names them by process id. Then every new worker would add files, until the memory is full.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        # In the process that workers are forked from. It answers no requests.
        self.name = "parent"

    def lock(self) -> None:
        """Lock the lowest free number until this process ends."""
        for number in itertools.count():
            held = os.open(os.path.join(self._folder, f"place-{number}"), os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(held)
            else:
                self.name = str(number)
                return


class RequestMetrics:
    """The metrics of requests."""

    def __init__(self, slot: FileSlot) -> None:
        # Not at the top: its import reads the environment, which `server.py` sets first.
        import prometheus_client
        from prometheus_client import values

        # Before any metric is created, MLflow's own metrics of spans included.
        make: Callable[[Callable[[], str]], type] = values.MultiProcessValue
        replace(values, ValueClass=make(lambda: slot.name))
        self._slot = slot
        self._requests = prometheus_client.Counter(
            "mlflow_http_requests", "Requests that were answered.", ["method", "route", "status"]
        )
        # Not a label of the requests: each of their series would be there twice.
        self._by_application = prometheus_client.Counter(
            "mlflow_application_requests",
            "Requests that the application in front of MLflow answered itself.",
            ["method", "route"],
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
        """Call this in a worker before its first request."""
        self._slot.lock()
        # A killed worker may have left another value in the file.
        self._in_flight.set(0)

    def started(self) -> None:
        self._in_flight.inc()

    def finished(self, method: str, request: ObservedRequest, seconds: float) -> None:
        method, route = method if method in METHODS else OTHER, request.route or OTHER
        self._in_flight.dec()
        self._requests.labels(method, route, str(request.status)).inc()
        if request.by_application:
            self._by_application.labels(method, route).inc()
        self._durations.labels(method, route).observe(seconds)


class MetricsMiddleware:
    """Middleware that measures the requests of an ASGI application."""

    def __init__(self, application: ASGIApp, metrics: RequestMetrics) -> None:
        self._application, self._metrics = application, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        request = ObservedRequest()

        async def send_and_observe(message: Message) -> None:
            if message["type"] == "http.response.start":
                request.status = message["status"]
            await send(message)

        token = CURRENT_REQUEST.set(request)
        self._metrics.started()
        started = time.perf_counter()
        try:
            await self._application(scope, receive, send_and_observe)
        finally:
            # FastAPI and our application set their route in the scope. For requests of Flask, `store_route` has set it.
            request.route = request.route or getattr(scope.get("route"), "path", None)
            request.by_application = getattr(scope.get("route"), "is_application", False)
            self._metrics.finished(scope["method"], request, time.perf_counter() - started)
            CURRENT_REQUEST.reset(token)


def measured(application: ASGIApp) -> ASGIApp:
    """The application of a worker, with its requests measured if the server has metrics."""
    if _metrics is None:
        return application
    _metrics.start()
    flask.request_started.connect(store_route)
    return MetricsMiddleware(application, _metrics)


def store_route(*_: object, **__: object) -> None:
    """Store the route that Flask has matched. The context variable reaches Flask's thread with the request."""
    rule = flask.request.url_rule
    if rule is not None and (request := CURRENT_REQUEST.get(None)):
        request.route = rule.rule


# Workers are forked after this, and before they call `measured`.
_metrics = RequestMetrics(FileSlot(os.environ[FOLDER])) if FOLDER in os.environ else None

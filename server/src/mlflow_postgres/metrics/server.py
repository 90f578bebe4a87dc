"""Serves the metrics to Prometheus on their own port, from the process that supervises the workers.

Not on MLflow's port: there, every client of MLflow could read them, and with sign-in Prometheus would need a password.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from contract import environment, paths

if TYPE_CHECKING:
    from prometheus_client.core import GaugeMetricFamily

FOLDER = paths.METRICS
"""The folder of the files that the workers write."""
CLIENT_TIMEOUT = 10
"""Seconds that the server waits for a client that sends nothing."""


class ArtifactSpace:
    """Collects size and free space of the file system that holds the artifacts."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        # Not at the top: the import of prometheus_client reads the environment, which `serve` sets first.
        from prometheus_client.core import GaugeMetricFamily

        there = os.statvfs(paths.ARTIFACTS)
        for name, blocks, help_text in (
            ("mlflow_artifacts_size_bytes", there.f_blocks, "Size of the file system that artifacts are on."),
            ("mlflow_artifacts_free_bytes", there.f_bavail, "What is free there."),
        ):
            yield GaugeMetricFamily(name, help_text, value=blocks * there.f_frsize)


def serve() -> None:
    """Serve the metrics from a daemon thread. Does nothing without METRICS_PORT."""
    port = os.environ.get(environment.METRICS_PORT)
    if not port:
        return
    # Set here, for this process and its workers only: other Python processes of the container would leave files there.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = FOLDER
    # Only now: the import reads the environment.
    import prometheus_client
    from prometheus_client import multiprocess

    registry = prometheus_client.CollectorRegistry()
    collect: Callable[..., object] = multiprocess.MultiProcessCollector
    collect(registry, path=FOLDER)
    registry.register(ArtifactSpace())
    server, _ = prometheus_client.start_http_server(int(port), registry=registry)
    server.RequestHandlerClass = with_timeout(server.RequestHandlerClass)


def with_timeout(handler: Any) -> Any:
    """A subclass of the handler with a timeout: a client that sends nothing would hold a thread for ever."""

    class HandlerWithTimeout(handler):  # type: ignore[misc]  # prometheus_client makes this class at run time
        timeout = CLIENT_TIMEOUT

        def handle(self) -> None:
            with suppress(TimeoutError):
                super().handle()

    return HandlerWithTimeout

"""The server's figures as Prometheus reads them, on a port of their own, from the process that minds the workers.

Not on MLflow's own port, where everybody who reaches MLflow would read them, or nobody without a password.
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
"""What the workers write down, by files that each has for itself."""
PATIENCE = 10
"""Seconds that the server waits for the next that a client says."""


class Room:
    """How full the file system is that the artifacts are on."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        # Not above: prometheus_client reads the environment when it is imported.
        from prometheus_client.core import GaugeMetricFamily

        there = os.statvfs(paths.ARTIFACTS)
        for name, blocks, help_text in (
            ("mlflow_artifacts_size_bytes", there.f_blocks, "Size of the file system that artifacts are on."),
            ("mlflow_artifacts_free_bytes", there.f_bavail, "What is free there."),
        ):
            yield GaugeMetricFamily(name, help_text, value=blocks * there.f_frsize)


def serve() -> None:
    """Serve the figures from a thread of this process, which ends with it; without METRICS_PORT, nothing."""
    port = os.environ.get(environment.METRICS_PORT)
    if not port:
        return
    # Of this process and the workers alone: another Python of the container would leave files of its own there.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = FOLDER
    # Only now: it reads the environment when it is imported.
    import prometheus_client
    from prometheus_client import multiprocess

    registry = prometheus_client.CollectorRegistry()
    collect: Callable[..., object] = multiprocess.MultiProcessCollector
    collect(registry, path=FOLDER)
    registry.register(Room())
    server, _ = prometheus_client.start_http_server(int(port), registry=registry)
    server.RequestHandlerClass = patient(server.RequestHandlerClass)


def patient(handler: Any) -> Any:
    """A handler like this one that waits for a while: who says nothing would hold a thread for as long as they like."""

    class Patient(handler):  # type: ignore[misc]  # a class that is given at run time has no type to inherit
        timeout = PATIENCE

        def handle(self) -> None:
            with suppress(TimeoutError):
                super().handle()

    return Patient

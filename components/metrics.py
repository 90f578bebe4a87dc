"""Where Prometheus reads the metrics: on loopback only, because the ports have no sign-in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from contract import ports

from . import defaults
from .engine.workload import Port

ADDRESS: Final = "127.0.0.1"
"""Other ports may be published on other addresses."""


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """The ports on the host that Prometheus scrapes."""

    mlflow_port: int = defaults.MLFLOW_METRICS_PORT
    postgres_port: int = defaults.POSTGRES_METRICS_PORT

    @property
    def of_mlflow(self) -> Port:
        return Port(container=ports.MLFLOW_METRICS, host=self.mlflow_port, address=ADDRESS)

    @property
    def of_postgres(self) -> Port:
        return Port(container=ports.POSTGRES_METRICS, host=self.postgres_port, address=ADDRESS)

    @property
    def mlflow_url(self) -> str:
        return _url(self.of_mlflow)

    @property
    def postgres_url(self) -> str:
        return _url(self.of_postgres)


def _url(port: Port) -> str:
    return f"http://{port.address}:{port.host}/metrics"

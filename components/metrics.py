"""Where Prometheus reads the metrics: on loopback only, because the ports have no sign-in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from contract import ports, roles

from .ports import PublishedPort

ADDRESS: Final = "127.0.0.1"
"""Other ports may be published on other addresses."""


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """The ports on the host that Prometheus scrapes."""

    mlflow_port: int = 9464
    postgres_port: int = 9187

    @property
    def of_mlflow(self) -> PublishedPort:
        return PublishedPort(
            argument="metrics.mlflow_port",
            role=roles.MLFLOW,
            container=ports.MLFLOW_METRICS,
            host=self.mlflow_port,
            address=ADDRESS,
            usual=Metrics.mlflow_port,
        )

    @property
    def of_postgres(self) -> PublishedPort:
        return PublishedPort(
            argument="metrics.postgres_port",
            role=roles.EXPORTER,
            container=ports.POSTGRES_METRICS,
            host=self.postgres_port,
            address=ADDRESS,
            usual=Metrics.postgres_port,
        )

    @property
    def mlflow_url(self) -> str:
        return f"{self.of_mlflow.url}/metrics"

    @property
    def postgres_url(self) -> str:
        return f"{self.of_postgres.url}/metrics"

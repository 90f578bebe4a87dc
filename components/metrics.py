"""Where the figures for monitoring are read: on loopback alone, for nobody is asked there who they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from contract import ports

from .engine.workload import Port

ADDRESS: Final = "127.0.0.1"
"""Not the address of the other ports, which may be open to the network."""


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """The host ports that Prometheus scrapes."""

    mlflow_port: int
    postgres_port: int

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

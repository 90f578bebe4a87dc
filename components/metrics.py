"""Where the figures for monitoring are read: on loopback alone, for nobody is asked there who they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .workload import Port

ADDRESS: Final = "127.0.0.1"
"""Not the address of the other ports, which may be open to the network."""
_MLFLOW_PORT: Final = 9464
_POSTGRES_PORT: Final = 9187


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """The host ports that Prometheus scrapes."""

    mlflow_port: int
    postgres_port: int

    @property
    def of_mlflow(self) -> Port:
        return Port(container=_MLFLOW_PORT, host=self.mlflow_port, address=ADDRESS)

    @property
    def of_postgres(self) -> Port:
        return Port(container=_POSTGRES_PORT, host=self.postgres_port, address=ADDRESS)

    @property
    def mlflow_url(self) -> str:
        return _url(self.of_mlflow)

    @property
    def postgres_url(self) -> str:
        return _url(self.of_postgres)


def _url(port: Port) -> str:
    return f"http://{port.address}:{port.host}/metrics"

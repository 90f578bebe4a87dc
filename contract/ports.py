"""The TCP ports that the containers listen on."""

from __future__ import annotations

from typing import Final

MLFLOW: Final = 5000
MLFLOW_METRICS: Final = 9464
POSTGRES: Final = 5432
POSTGRES_METRICS: Final = 9187
GATEWAY_HTTPS: Final = 8443
GATEWAY_HTTP: Final = 8080

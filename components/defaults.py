"""The defaults of a platform's arguments. Those in `Pulumi.yaml` are the same: a unit test compares the two."""

from __future__ import annotations

from typing import Final

MLFLOW_VERSION: Final = "3.17.2"
POSTGRES_VERSION: Final = "17"
PYTHON_IMAGE: Final = "python:3.13-slim-trixie"
DEBIAN_IMAGE: Final = "debian:trixie-slim"

DATABASE: Final = "mlflow"
USER: Final = "mlflow"
ADDRESS: Final = "127.0.0.1"

# On the host.
MLFLOW_PORT: Final = 5000
POSTGRES_PORT: Final = 5432
ADMINER_PORT: Final = 8080
HTTPS_PORT: Final = 443
HTTP_PORT: Final = 80
MLFLOW_METRICS_PORT: Final = 9464
POSTGRES_METRICS_PORT: Final = 9187

# In MiB.
MLFLOW_MEMORY: Final = 4096
POSTGRES_MEMORY: Final = 2048

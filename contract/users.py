"""The user ids that processes in the containers have. Each is its group id as well."""

from __future__ import annotations

from typing import Final

NOBODY: Final = 65534
"""Of MLflow, its jobs, the gateway and the exporter. The artifacts in every volume belong to it."""
POSTGRES: Final = 999
"""`postgres` in the official image."""
WWW_DATA: Final = 33
"""`www-data` in Debian; Adminer's."""

"""The user ids of processes in the containers. Each is the group id too."""

from __future__ import annotations

from typing import Final

NOBODY: Final = 65534
"""MLflow, its jobs, the gateway and the exporter. This user owns the artifacts in every volume."""
POSTGRES: Final = 999
"""`postgres` in the official image."""
WWW_DATA: Final = 33
"""`www-data` in Debian, for Adminer."""

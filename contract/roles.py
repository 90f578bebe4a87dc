"""The roles of a stack's containers. A role is the container's label, its host name and the end of its name."""

from __future__ import annotations

from typing import Final

POSTGRES: Final = "postgres"
SCHEMA: Final = "schema"
MLFLOW: Final = "mlflow"
ADMINER: Final = "adminer"
EXPORTER: Final = "exporter"
GATEWAY: Final = "gateway"
GC: Final = "gc"
SETTINGS: Final = "settings"
"""The task that tries PostgreSQL's settings on an empty server."""

IMPORT: Final = "import"
RESTORE: Final = "restore"

_COURIER: Final = "-courier"


def courier_of(role: str) -> str:
    """The role of the courier for a role."""
    return f"{role}{_COURIER}"


def served_by(role: str) -> str:
    """The role that a courier belongs to. Any other role is returned unchanged."""
    return role.removesuffix(_COURIER)


def is_courier(role: str) -> bool:
    return role.endswith(_COURIER)

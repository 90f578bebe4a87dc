"""The roles of a stack's containers. A role is the container's label, its host name and the end of its name."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True, kw_only=True)
class Switch:
    """What decides whether a container is part of a stack."""

    setting: str
    output: str | None = None
    """The output of the stack that shows it, if there is one."""


OPTIONAL: Final = {
    ADMINER: Switch(setting="adminer", output="adminer_url"),
    EXPORTER: Switch(setting="metrics", output="postgres_metrics_url"),
    GATEWAY: Switch(setting="hostname"),
    GC: Switch(setting="gcAfterDays"),
    SETTINGS: Switch(setting="postgresSettings"),
}
"""The roles that not every stack has, and the setting that switches each on."""

_COURIER: Final = "-courier"


def courier_of(role: str) -> str:
    """The role of the courier for a role."""
    return f"{role}{_COURIER}"


def served_by(role: str) -> str:
    """The role that a courier belongs to. Any other role is returned unchanged."""
    return role.removesuffix(_COURIER)


def is_courier(role: str) -> bool:
    return role.endswith(_COURIER)

"""The labels of a stack's objects on the engine. They identify objects that are in no state."""

from __future__ import annotations

from typing import Final

PREFIX: Final = "mlflow-postgres"
"""The prefix of all label names."""

STACK: Final = f"{PREFIX}.stack"
"""The prefix of the stack's object names."""
ROLE: Final = f"{PREFIX}.role"
DEPLOYMENT: Final = f"{PREFIX}.deployment"
"""Identifies one deployment of a stack. An object with this label that is not in the state is an orphan."""
KIND: Final = f"{PREFIX}.kind"
"""The kind of a container: one of the four below."""
PROBE: Final = f"{PREFIX}.probe"
"""Fingerprint of the health check."""
SECRETS_VERSION: Final = f"{PREFIX}.secrets"
POSTGRES_MAJOR: Final = f"{PREFIX}.postgres-major"
"""On the data volume: the major version of its cluster."""

SERVICE: Final = "service"
"""Kind: runs until it is stopped."""
TASK: Final = "task"
"""Kind: runs to its end."""
COURIER: Final = "courier"
"""Kind: never starts. It only carries secret files into a volume."""
HELPER: Final = "helper"
"""Kind: a command of `ops` runs it. It is in no state."""

COMMAND: Final = f"{PREFIX}.by"
"""On a helper: the command that started it."""
CHANGES: Final = f"{PREFIX}.changes"
"""On a helper: `true` if it does more than read."""
WAITER: Final = f"{PREFIX}.waiter"
"""On a helper: the process that waits for it."""

"""The labels of a stack's objects on the engine. What no state knows is found by them."""

from __future__ import annotations

from typing import Final

PREFIX: Final = "mlflow-postgres"
"""Every label's name begins with it."""

STACK: Final = f"{PREFIX}.stack"
"""The prefix of the stack's object names."""
ROLE: Final = f"{PREFIX}.role"
DEPLOYMENT: Final = f"{PREFIX}.deployment"
"""Tells one life of a stack from another: an object that carries it and is not in the state is an orphan."""
KIND: Final = f"{PREFIX}.kind"
"""What a container is: one of the four below."""
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
"""Kind: never starts; it only carries secret files into a volume."""
HELPER: Final = "helper"
"""Kind: a command of `ops` runs it for itself, and no state knows it."""

COMMAND: Final = f"{PREFIX}.by"
"""On a helper: the command that started it."""
CHANGES: Final = f"{PREFIX}.changes"
"""On a helper: `true` when it does more than read."""
WAITER: Final = f"{PREFIX}.waiter"
"""On a helper: the process that waits for it."""

"""The ports that a platform publishes on the host, with what the rules for them need to know."""

from __future__ import annotations

from dataclasses import dataclass

from .engine.workload import Port


@dataclass(frozen=True, kw_only=True)
class PublishedPort(Port):
    """A port on the host, and the argument that chose its number."""

    argument: str
    """As errors name it, such as `mlflow.port`."""
    role: str
    """Of the service that publishes it."""
    usual: int
    """A number that an error can suggest."""
    first: int = 1024
    """The lowest number that is accepted."""

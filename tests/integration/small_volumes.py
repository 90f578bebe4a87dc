"""Small volumes in memory. They are created before the stack, which then uses them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from docker.models.containers import Container

from contract.labels import ROLE, STACK

from .harness import Deployment

HELD = "/held"


def small_volume(stack: Deployment, role: str, megabytes: int, user: int, mode: str = "0700") -> None:
    """Create the stack's volume of a role, with this size and owner."""
    options = f"size={megabytes}m,uid={user},gid={user},mode={mode}"
    stack.engine.volumes.create(
        f"{stack.prefix}-{role}",
        driver_opts={"type": "tmpfs", "device": "tmpfs", "o": options},
        labels={STACK: stack.prefix, ROLE: role},
    )


@contextmanager
def held_volume(stack: Deployment, role: str) -> Iterator[Container]:
    """Keep a volume mounted in one more container: the content of a tmpfs is lost when its last container stops."""
    holder = stack.engine.containers.run(
        stack.image("postgres"),
        entrypoint=["sleep", "infinity"],
        volumes={f"{stack.prefix}-{role}": {"bind": HELD}},
        labels={STACK: stack.prefix},
        network_mode="none",
        init=True,
        detach=True,
    )
    try:
        yield holder
    finally:
        holder.remove(force=True, v=True)

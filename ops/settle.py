"""Wait for services that are on their way: an engine that was restarted starts them by itself, with no run watching."""

from __future__ import annotations

import time

import docker
from docker.errors import NotFound
from docker.models.containers import Container

from . import objects

# As long as the most patient probe of components/ gives its service, in seconds.
_PATIENCE = 300


def settle(engine: docker.DockerClient, prefix: str) -> None:
    """Return when no running service of the stack is still starting; each has then become ready, failed or ended.

    A run that finds nothing to change would otherwise say "up" of a server that does not answer yet.
    """
    deadline = time.monotonic() + _PATIENCE
    told: set[str] = set()
    while starting := [each for each in objects.containers(engine, prefix) if _is_starting(each)]:
        if time.monotonic() > deadline:
            return
        for container in starting:
            if container.name not in told:
                print(f"waiting for {container.name} to become ready", flush=True)
                told.add(str(container.name))
        time.sleep(0.5)


def _is_starting(container: Container) -> bool:
    try:
        return container.status == "running" and container.health == "starting"
    except NotFound:
        return False

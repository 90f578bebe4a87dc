"""See to it that everything of a stack is well, or is made anew by the next run."""

from __future__ import annotations

import time

import docker
from docker.errors import NotFound
from docker.models.containers import Container

from . import objects

# As long as a failing probe means "not yet" (Probe.grace), in seconds.
_PATIENCE = 600


def settle(engine: docker.DockerClient, prefix: str) -> None:
    """Wait for services on their way, as after the engine's restart, and remove those that are not well.

    Pulumi makes a container that is gone anew and waits until it is ready. One that stopped it starts without
    waiting, and one that failed it leaves as it is: it would say "up" of a server that does not answer.
    """
    _wait(engine, prefix)
    for container in objects.containers(engine, prefix):
        if not objects.is_well(container):
            print(f"{container.name} is {objects.condition(container)}; it is made anew", flush=True)
            objects.remove_container(container)


def _wait(engine: docker.DockerClient, prefix: str) -> None:
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
    """One that has already failed and was restarted is not waited for: it may do so for ever."""
    try:
        return container.status == "running" and container.health == "starting" and not _restarts(container)
    except NotFound:
        return False


def _restarts(container: Container) -> int:
    return int(container.attrs.get("RestartCount") or 0)

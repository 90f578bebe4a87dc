"""See to it that everything of a stack is well, or is made anew by the next run."""

from __future__ import annotations

import time
from collections.abc import Mapping

import docker
from docker.errors import APIError, NotFound
from docker.models.containers import Container

from contract import labels, roles

from . import objects
from .stack import configuration, prefix
from .turns import AGAIN

# As long as a failing probe means "not yet" (Probe.grace), in seconds.
_PATIENCE = 600

# What pg_isready ends with when there is a server that takes nobody in yet.
_REJECTING = 1

# The setting that has each service that not every stack has, and what it is without.
_SETTINGS = {
    roles.ADMINER: "adminer",
    roles.EXPORTER: "metrics",
    roles.GATEWAY: "hostname",
    roles.GC: "gcAfterDays",
    roles.SETTINGS: "postgresSettings",
}
_OFF = ("", "false", "0", "{}")


def settle(engine: docker.DockerClient, stack: str) -> None:
    """Wait for services on their way, as after the engine's restart, and remove those that are not well.

    Pulumi makes a container that is gone anew and waits until it is ready. One that stopped it starts without
    waiting, and one that failed it leaves as it is: it would say "up" of a server that does not answer. What the
    settings have switched off since it removes.
    """
    if all(objects.is_well(each) for each in objects.containers(engine, prefix(stack))):
        return
    settings = configuration(stack)
    _wait(engine, prefix(stack), settings)
    for container in _wanted(engine, prefix(stack), settings):
        if not objects.is_well(container):
            print(f"{container.name} is {objects.condition(container)}; it is made anew", flush=True)
            objects.remove_container(container)


def wait_for_recovery(engine: docker.DockerClient, prefix: str) -> None:
    """Wait while a database makes good what a crash has left, without end: it would only have to begin again."""
    began: dict[str, int] = {}
    told = 0.0
    while recovering := [each for each in objects.containers(engine, prefix) if _recovers(each)]:
        (container, *_) = recovering
        # One that crashes again and again never gets there.
        if _restarts(container) > began.setdefault(str(container.id), _restarts(container)):
            return
        if not told or time.monotonic() - told > AGAIN:
            print(f"waiting for {container.name} to take connections: it starts, or recovers from a crash", flush=True)
            told = time.monotonic()
        time.sleep(1)


def _wanted(engine: docker.DockerClient, prefix: str, settings: Mapping[str, str]) -> list[Container]:
    """The containers but those of services that the settings have switched off."""
    return [each for each in objects.containers(engine, prefix) if not _is_off(each, settings)]


def _is_off(container: Container, settings: Mapping[str, str]) -> bool:
    setting = _SETTINGS.get(roles.served_by(objects.label(container, labels.ROLE)))
    return setting is not None and settings.get(setting, "") in _OFF


def _wait(engine: docker.DockerClient, prefix: str, settings: Mapping[str, str]) -> None:
    deadline = time.monotonic() + _PATIENCE
    told: set[str] = set()
    while starting := [each for each in _wanted(engine, prefix, settings) if _is_starting(each)]:
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


def _recovers(container: Container) -> bool:
    if objects.label(container, labels.ROLE) != "postgres" or objects.label(container, labels.KIND) == labels.HELPER:
        return False
    if container.status != "running" or container.health == "healthy":
        return False
    try:
        # Over the socket: a server that starts answers nowhere else until it has seen to the roles.
        asked = container.exec_run(["pg_isready", "--quiet"], demux=True)
    except APIError:
        # It has ended meanwhile.
        return False
    return bool(asked.exit_code == _REJECTING)


def _restarts(container: Container) -> int:
    return int(container.attrs.get("RestartCount") or 0)

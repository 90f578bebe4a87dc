"""Makes sure that every container of a stack is healthy, or is created again by the next run."""

from __future__ import annotations

import time
from collections.abc import Mapping

from contract import labels, roles

from .runtime import Container, GoneError, Runtime
from .stack import configuration, prefix
from .stack_lock import REPEAT

# Seconds. As long as a failing probe means "not yet" (Probe.grace).
_TIMEOUT = 600

# pg_isready's exit code while the server starts or recovers.
_REJECTING = 1

# The values of a setting that switch its service off.
_OFF = ("", "false", "0", "{}")


def ensure_ready(runtime: Runtime, stack: str) -> None:
    """Wait for services that start, as after a restart of the engine, and remove those that are not healthy.

    Pulumi creates a missing container and waits until it is ready. But it starts a stopped container without waiting,
    and does not touch a failed one. It would report "up" for a server that does not answer. Pulumi also removes the
    services that the settings have switched off.
    """
    if all(each.is_as_expected for each in runtime.containers(prefix(stack))):
        return
    settings = configuration(stack)
    _wait(runtime, prefix(stack), settings)
    for container in _expected(runtime, prefix(stack), settings):
        if not container.is_as_expected:
            print(f"{container.name} is {container.condition}; it is created again", flush=True)
            runtime.remove(container)


def wait_for_recovery(runtime: Runtime, prefix: str) -> None:
    """Wait without a limit while a database recovers from a crash: after a restart the recovery starts again."""
    restarts: dict[str, int] = {}
    printed: float | None = None
    while recovering := [each for each in runtime.containers(prefix) if _recovers(runtime, each)]:
        container = recovering[0]
        # A server that crashes again and again never recovers.
        if container.restarts > restarts.setdefault(container.id, container.restarts):
            return
        if printed is None or time.monotonic() - printed > REPEAT:
            print(f"waiting for {container.name} to take connections: it starts, or recovers from a crash", flush=True)
            printed = time.monotonic()
        time.sleep(1)


def _expected(runtime: Runtime, prefix: str, settings: Mapping[str, str]) -> list[Container]:
    """The containers without those of services that the settings have switched off."""
    return [each for each in runtime.containers(prefix) if not _is_off(each, settings)]


def _is_off(container: Container, settings: Mapping[str, str]) -> bool:
    switch = roles.OPTIONAL.get(roles.served_by(container.role))
    return switch is not None and settings.get(switch.setting, "") in _OFF


def _wait(runtime: Runtime, prefix: str, settings: Mapping[str, str]) -> None:
    deadline = time.monotonic() + _TIMEOUT
    printed: set[str] = set()
    while starting := [each for each in _expected(runtime, prefix, settings) if _is_starting(each)]:
        if time.monotonic() > deadline:
            return
        for container in starting:
            if container.name not in printed:
                print(f"waiting for {container.name} to become ready", flush=True)
                printed.add(container.name)
        time.sleep(0.5)


def _is_starting(container: Container) -> bool:
    """Whether a service is starting. Not after a restart: it has failed, and may fail again and again."""
    return container.status == "running" and container.health == "starting" and not container.restarts


def _recovers(runtime: Runtime, container: Container) -> bool:
    if container.role != roles.POSTGRES or container.kind == labels.HELPER:
        return False
    if container.status != "running" or container.health == "healthy":
        return False
    try:
        # Over the socket: a starting server listens nowhere else until its roles are set up.
        return runtime.execute(container, ["pg_isready", "--quiet"], {}).exit_code == _REJECTING
    except GoneError:
        return False

"""The containers, networks and volumes of a stack on the engine, found by their labels."""

from __future__ import annotations

from datetime import datetime

import docker
from docker.errors import DockerException, NotFound
from docker.models.containers import Container
from docker.models.networks import Network
from docker.models.volumes import Volume
from requests import RequestException
from urllib3.exceptions import HTTPError

from contract import labels, roles
from contract.names import object_name

ENGINE_ERRORS = (DockerException, RequestException, HTTPError)
"""What a call of the engine may raise. A stream that breaks off raises the last."""


def containers(engine: docker.DockerClient, prefix: str) -> list[Container]:
    """The stack's containers, those that do not run included."""
    return engine.containers.list(all=True, filters=_labelled(prefix), ignore_removed=True)


def networks(engine: docker.DockerClient, prefix: str) -> list[Network]:
    """The stack's networks."""
    return engine.networks.list(filters=_labelled(prefix))


def volumes(engine: docker.DockerClient, prefix: str) -> list[Volume]:
    """The stack's volumes, those of a destroyed stack included."""
    return engine.volumes.list(filters=_labelled(prefix))


def label(thing: Container | Network, name: str) -> str:
    """The value of one of our labels, empty if it has none."""
    found = thing.labels if isinstance(thing, Container) else (thing.attrs or {}).get("Labels") or {}
    return str(found.get(name, ""))


def is_schema_job(container: Container, prefix: str) -> bool:
    """Whether it is the schema job itself, and not another command of the job's."""
    return container.name == object_name(prefix, roles.SCHEMA) and label(container, labels.KIND) == labels.TASK


def now(engine: docker.DockerClient) -> datetime:
    """The time by the engine's own clock, which may be another machine's."""
    return datetime.fromisoformat(engine.info()["SystemTime"])


def age(thing: Container | Network, now: datetime) -> float:
    """How long ago it was made, in seconds."""
    return (now - datetime.fromisoformat((thing.attrs or {})["Created"])).total_seconds()


def is_well(container: Container) -> bool:
    """Whether it is as an `up` leaves it: a service ready, a task ended without an error, a courier not started.

    A command's helper comes and goes with it.
    """
    match label(container, labels.KIND):
        case kind if kind == labels.HELPER:
            return True
        case kind if kind == labels.COURIER:
            return container.status == "created"
        case kind if kind == labels.TASK:
            return container.status == "exited" and exit_code(container) == 0
    return container.status == "running" and container.health == "healthy"


def condition(container: Container) -> str:
    """How it is, in a few words."""
    match label(container, labels.KIND):
        case kind if kind == labels.TASK:
            return f"{container.status} with exit code {exit_code(container)}"
        case kind if kind == labels.COURIER:
            return str(container.status)
    return f"{container.status} and {container.health}"


def exit_code(container: Container) -> int:
    """What its last run ended with."""
    return int(container.attrs["State"].get("ExitCode") or 0)


def remove_container(container: Container) -> None:
    """Stop it as its service wants to be stopped, then remove it. Volumes that have a name stay.

    One that never was ready has accepted nothing, and a start that is cut short is made again: it is not waited for.
    """
    try:
        if container.health != "starting":
            container.stop(timeout=_grace(container))
        # Its volumes without a name too: nobody else could ever open them.
        container.remove(force=True, v=True)
    except NotFound:
        return


def remove_network(network: Network) -> None:
    """Remove a network, whoever is still on it."""
    try:
        network.reload()
        for container in network.containers:
            network.disconnect(container, force=True)
        network.remove()
    except NotFound:
        return


def _grace(container: Container) -> int:
    return int((container.attrs.get("Config") or {}).get("StopTimeout") or 10)


def _labelled(prefix: str) -> dict[str, str | list[str] | bool]:
    return {"label": f"{labels.STACK}={prefix}"}

"""Checks of the Docker host: its ports, its images, and the volumes of an earlier stack."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import suppress

import docker
import pulumi
from docker.errors import APIError, DockerException, NotFound
from docker.models.containers import Container
from requests import RequestException

from components import PlatformArgs, PostgresOptions, defaults
from components.errors import DeploymentError, refuse
from components.ports import PublishedPort
from components.validation import free_port
from contract import roles
from contract.errors import ArgumentError, UserError
from contract.labels import POSTGRES_MAJOR, ROLE, SECRETS_VERSION, STACK

from .engine import EngineError, engine_host, open_engine

# For a service without its own stop timeout.
_STOP_SECONDS = 30
_EVERY_ADDRESS = ("", "0.0.0.0", "::")

Errors = Iterator[UserError]


def check_host(args: PlatformArgs, prefix: str) -> None:
    """Check that the engine can run the platform whose object names begin with `prefix`.

    Raises `DeploymentError` with all errors. Without errors, and outside a preview, it stops the services of this stack
    whose ports move to another of its services: Pulumi would start the other one first.
    """
    try:
        engine = open_engine()
    except EngineError as error:
        raise DeploymentError([error]) from None
    try:
        containers = list(_containers(engine))
        refuse(_errors(engine, containers, args, prefix))
        # Last, because a registry may take a minute to answer.
        refuse(_images(engine, args, prefix))
        if not pulumi.runtime.is_dry_run():
            _free_moving_ports(containers, args)
    except (DockerException, RequestException) as error:
        failure = UserError(
            "engine-failed",
            f"the Docker engine at {engine_host()} failed: {_reason(error)}",
            remedy="docker info, which shows what is wrong with it",
        )
        raise DeploymentError([failure]) from None
    finally:
        engine.close()


def _errors(engine: docker.DockerClient, containers: list[Container], args: PlatformArgs, prefix: str) -> Errors:
    yield from _ports(containers, args, prefix)
    yield from _processors(engine, args)
    yield from _credentials(engine, prefix, args.credentials_version)
    if args.database_server is None:
        yield from _postgres_major(engine, prefix, args)
        yield from _data_volume(containers, prefix)


def _processors(engine: docker.DockerClient, args: PlatformArgs) -> Errors:
    """The engine does not start a container with more processors than it has."""
    available = int(engine.info()["NCPU"])
    for argument, limits in (
        ("mlflow.limits.cpus", args.mlflow.limits),
        ("postgres.limits.cpus", args.postgres.limits),
    ):
        if limits.cpus > available:
            rule = f"the Docker engine has {available} processors"
            yield ArgumentError("processors-too-many", argument, limits.cpus, rule=rule, accepted=available)


def _credentials(engine: docker.DockerClient, prefix: str, version: int) -> Errors:
    """Refuse a lower version: its secrets are deleted, and could not decrypt what later ones have encrypted."""
    # all=True, because the schema job, which has the label, has ended.
    for container in engine.containers.list(all=True, ignore_removed=True):
        if _is_ours(container, prefix) and container.labels.get(ROLE) == roles.SCHEMA:
            latest = int(container.labels.get(SECRETS_VERSION, version))
            if latest > version:
                rule = f"it only rises, and was {latest} already"
                yield ArgumentError(
                    "credentials-version-lowered", "credentials_version", version, rule=rule, accepted=latest
                )


def _containers(engine: docker.DockerClient) -> Iterator[Container]:
    # Another program may remove a container in the meantime.
    yield from engine.containers.list(ignore_removed=True)


def _is_ours(container: Container, prefix: str) -> bool:
    return bool(container.labels.get(STACK) == prefix)


def _ports(containers: list[Container], args: PlatformArgs, prefix: str) -> Errors:
    # Two taken ports must not get the same free number.
    numbers = {each.host for each in args.published_ports}
    for port in args.published_ports:
        holders = _holders(containers, port)
        others = [each for each in holders if not _is_ours(each, prefix)]
        if others:
            rule = f"the container {others[0].name} has that port already; stop it or choose another"
            free = _reserve(port.host, numbers)
            yield ArgumentError("port-taken-by-container", port.argument, port.host, rule=rule, accepted=free)
        elif not holders and engine_host().startswith("unix://"):
            yield from _bind(port, numbers)


def _reserve(port: int, numbers: set[int]) -> int:
    """The next free number. It is added to `numbers`."""
    free = free_port(port, numbers)
    numbers.add(free)
    return free


def _free_moving_ports(containers: list[Container], args: PlatformArgs) -> None:
    """Stop this stack's services whose ports move to another of its services. They are replaced or removed anyway.

    A service that keeps its port is never stopped: no two arguments have the same number.
    """
    for port in args.published_ports:
        for holder in _holders(containers, port):
            if holder.labels.get(ROLE) != port.role:
                pulumi.log.info(f"stopping {holder.name}: {port.role} gets its port {port.host}")
                with suppress(NotFound):
                    holder.stop(timeout=holder.attrs["Config"].get("StopTimeout") or _STOP_SECONDS)


def _holders(containers: list[Container], port: PublishedPort) -> list[Container]:
    return [container for container in containers if _holds(container, port.host, port.address)]


def _holds(container: Container, port: int, address: str) -> bool:
    """Whether a container publishes this TCP port on an address that overlaps with this one."""
    bindings = [each for name, bound in container.ports.items() if name.endswith("/tcp") for each in bound or []]
    return any(
        int(each["HostPort"]) == port
        and (each["HostIp"] == address or each["HostIp"] in _EVERY_ADDRESS or address in _EVERY_ADDRESS)
        for each in bindings
    )


def _bind(port: PublishedPort, numbers: set[int]) -> Errors:
    family = socket.AF_INET6 if ":" in port.address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # Otherwise a connection in TIME_WAIT looks like a listener.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((port.address, port.host))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            rule = (
                f"another program listens there (ss -ltnp 'sport = :{port.host}' names it); stop it or choose another"
            )
            free = _reserve(port.host, numbers)
            yield ArgumentError("port-taken-by-program", port.argument, port.host, rule=rule, accepted=free)
        elif error.errno == errno.EACCES:
            # This user may not bind a port below 1024. The engine may.
            return
        elif error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            rule = "no interface of this machine has that address (ip address lists them)"
            yield ArgumentError("address-not-here", "bind_address", port.address, rule=rule, accepted=defaults.ADDRESS)
        else:
            raise


def _postgres_major(engine: docker.DockerClient, prefix: str, args: PlatformArgs) -> Errors:
    name = f"{prefix}-{roles.POSTGRES}-data"
    try:
        labels = engine.volumes.get(name).attrs["Labels"] or {}
    except NotFound:
        return
    major = str(args.postgres.major)
    found = labels.get(POSTGRES_MAJOR, major)
    if found != major:
        rule = (
            f"the volume {name} holds a cluster of PostgreSQL {found}, and data files do not move between majors "
            f"(dump and restore into a new stack instead, or, if nothing in it is needed, docker volume rm {name}); "
            "nothing was touched"
        )
        yield ArgumentError(
            "postgres-major-changed", "postgres.version", args.postgres.version, rule=rule, accepted=found
        )


def _data_volume(containers: list[Container], prefix: str) -> Errors:
    """Refuse a volume that another container uses: two servers would destroy its data."""
    name = f"{prefix}-{roles.POSTGRES}-data"
    for container in containers:
        if _is_ours(container, prefix):
            continue
        if any(mount.get("Name") == name for mount in container.attrs["Mounts"]):
            yield UserError(
                "volume-in-use",
                f"the volume {name} is used by the container {container.name}, which does not belong to this stack",
                rule="two servers on one volume would ruin it",
                remedy=f"docker stop {container.name}",
            )


def _images(engine: docker.DockerClient, args: PlatformArgs, prefix: str) -> Errors:
    """Check the base images of missing images. An image that exists needs no base image."""
    needed: dict[str, str] = {}
    for role, image in args.image_builds.items():
        if not _is_local(engine, f"{prefix.lower()}/{role}:{image.digest}"):
            for base in image.bases:
                # MLflow's image copies PostgreSQL's programs from the base of PostgreSQL's image.
                needed.setdefault(base, role if base == image.base else roles.POSTGRES)
    for base, role in needed.items():
        if not _is_local(engine, base):
            yield from _registry(engine, args, role, base)


def _registry(engine: docker.DockerClient, args: PlatformArgs, role: str, base: str) -> Errors:
    try:
        engine.images.get_registry_data(base)
    except (APIError, OSError) as error:
        argument, value, accepted = _base_argument(args, role, base)
        rule = (
            f"the image {base} cannot be found, neither on the Docker engine nor in a registry ({_reason(error)}): "
            f"{role} is built from it. Load it (docker pull, docker load) or choose another"
        )
        yield ArgumentError("image-not-found", argument, value, rule=rule, accepted=accepted)


def _base_argument(args: PlatformArgs, role: str, base: str) -> tuple[str, str, str | None]:
    """The argument of a role's base image, its value, and a value that works."""
    match base:
        case args.python_image:
            return "python_image", base, defaults.PYTHON_IMAGE
        case args.debian_image:
            return "debian_image", base, defaults.DEBIAN_IMAGE
        case args.postgres.image:
            return "postgres.image", base, None
        case args.postgres.base:
            return "postgres.version", args.postgres.version, PostgresOptions.version
        case _:
            # A sidecar of the caller's.
            return f"{role}.image", base, None


def _is_local(engine: docker.DockerClient, reference: str) -> bool:
    try:
        engine.images.get(reference)
    except APIError:
        # The image is missing, or its name is invalid.
        return False
    return True


def _reason(error: Exception) -> str:
    return str(error.explanation if isinstance(error, APIError) and error.explanation else error)

"""Whether the host can run this stack: its ports, images, processors and volumes."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress

import docker
import pulumi
from docker.errors import APIError, DockerException, NotFound
from docker.models.containers import Container
from requests import RequestException

from components import metrics
from components.platform import PlatformArgs
from components.rules import free_number
from contract import errors, roles
from contract.errors import UserError
from contract.labels import POSTGRES_MAJOR, ROLE, SECRETS_VERSION, STACK

from .engine import EngineError, engine_host, open_engine

_ROLE = {
    "mlflowPort": roles.MLFLOW,
    "postgresPort": roles.POSTGRES,
    "adminerPort": roles.ADMINER,
    "mlflowMetricsPort": roles.MLFLOW,
    "postgresMetricsPort": roles.EXPORTER,
    "httpsPort": roles.GATEWAY,
    "httpPort": roles.GATEWAY,
}
# Seconds, for a service without a StopTimeout.
_STOP_SECONDS = 30
_EVERY_ADDRESS = ("", "0.0.0.0", "::")

Errors = Iterator[UserError]


def check_host(args: PlatformArgs, prefix: str, ports: Mapping[str, int]) -> None:
    """Check that the engine can run the stack `prefix`; `ports` are by the setting of each.

    Raises `pulumi.RunError` with one line for each problem. Without a problem, and outside a preview, it stops a
    service whose port another service of the stack gets: Pulumi would start that one first.
    """
    try:
        engine = open_engine()
    except EngineError as error:
        raise pulumi.RunError(error.report) from None
    try:
        containers = list(_containers(engine))
        _refuse(_against(engine, containers, args, prefix, ports))
        # On its own: a registry may take a minute to time out.
        _refuse(_against_images(engine, args, prefix))
        if not pulumi.runtime.is_dry_run():
            _release_ports(containers, args, ports)
    except (DockerException, RequestException) as error:
        failure = UserError(
            "engine-failed",
            f"the Docker engine at {engine_host()} failed: {_reason(error)}",
            remedy="docker info, which shows what is wrong with it",
        )
        raise pulumi.RunError(failure.report) from None
    finally:
        engine.close()


def _refuse(found: Errors) -> None:
    if problems := [*found]:
        raise pulumi.RunError(errors.report(problems))


def _bad_setting(code: str, key: str, value: object, rule: str, example: object) -> UserError:
    return UserError(code, f"{key} is {value!r}", rule=rule, remedy=f"bin/pulumi config set {key} {example}")


def _against(
    engine: docker.DockerClient,
    containers: list[Container],
    args: PlatformArgs,
    prefix: str,
    ports: Mapping[str, int],
) -> Errors:
    yield from _against_ports(containers, args, prefix, ports)
    yield from _against_processors(engine, args)
    yield from _against_credentials(engine, prefix, args.credentials_version)
    yield from _against_major(engine, prefix, args.postgres_major)
    yield from _against_volume(containers, prefix)


def _address(args: PlatformArgs, key: str) -> str:
    """The address of the host that the port of a setting is opened on."""
    if key in ("mlflowMetricsPort", "postgresMetricsPort"):
        return metrics.ADDRESS
    return args.side_address if key in ("postgresPort", "adminerPort") else args.bind_address


def _against_processors(engine: docker.DockerClient, args: PlatformArgs) -> Errors:
    """The engine refuses to start a container with more than it has."""
    there = int(engine.info()["NCPU"])
    for key, limits in (("mlflowCpus", args.mlflow_limits), ("postgresCpus", args.postgres_limits)):
        if limits.cpus > there:
            yield _bad_setting(
                "processors-too-many", key, limits.cpus, f"the Docker engine has {there} processors", there
            )


def _against_credentials(engine: docker.DockerClient, prefix: str, version: int) -> Errors:
    """The secrets of an earlier version are gone. Data that newer ones encrypt cannot be read with them."""
    # The schema job, which makes them, has ended.
    for container in engine.containers.list(all=True, ignore_removed=True):
        if _is_ours(container, prefix) and container.labels.get(ROLE) == roles.SCHEMA:
            present = int(container.labels.get(SECRETS_VERSION, version))
            if present > version:
                rule = f"it only rises, and was {present} already"
                yield _bad_setting("credentials-version-lowered", "credentialsVersion", version, rule, present)


def _containers(engine: docker.DockerClient) -> Iterator[Container]:
    # A container that is removed meanwhile must not fail the check.
    yield from engine.containers.list(ignore_removed=True)


def _is_ours(container: Container, prefix: str) -> bool:
    return bool(container.labels.get(STACK) == prefix)


def _against_ports(containers: list[Container], args: PlatformArgs, prefix: str, ports: Mapping[str, int]) -> Errors:
    # Two taken ports must not get the same proposal.
    numbers = dict(ports)
    for key, port in ports.items():
        address = _address(args, key)
        holders = _holders(containers, port, address)
        others = [each for each in holders if not _is_ours(each, prefix)]
        if others:
            numbers[f"{key} instead"] = free_number(port, numbers)
            rule = f"the container {others[0].name} has that port already; stop it or choose another"
            yield _bad_setting("port-taken-by-container", key, port, rule, numbers[f"{key} instead"])
        elif not holders and engine_host().startswith("unix://"):
            yield from _against_bind(key, address, port, numbers)


def _release_ports(containers: list[Container], args: PlatformArgs, ports: Mapping[str, int]) -> None:
    """Stop services that hold a port that another service gets. Pulumi replaces or removes them.

    A service that keeps its ports is never stopped: every port is of one setting.
    """
    for key, port in ports.items():
        for holder in _holders(containers, port, _address(args, key)):
            if holder.labels.get(ROLE) != _ROLE[key]:
                pulumi.log.info(f"stopping {holder.name}: its port {port} is {key} now")
                with suppress(NotFound):
                    holder.stop(timeout=holder.attrs["Config"].get("StopTimeout") or _STOP_SECONDS)


def _holders(containers: list[Container], port: int, address: str) -> list[Container]:
    return [container for container in containers if _holds(container, port, address)]


def _holds(container: Container, port: int, address: str) -> bool:
    """Whether a container publishes a TCP port on an address. Either side may mean every address."""
    bindings = [each for inside, bound in container.ports.items() if inside.endswith("/tcp") for each in bound or []]
    return any(
        int(each["HostPort"]) == port
        and (each["HostIp"] == address or each["HostIp"] in _EVERY_ADDRESS or address in _EVERY_ADDRESS)
        for each in bindings
    )


def _against_bind(key: str, address: str, port: int, numbers: dict[str, int]) -> Errors:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # Without it, a connection that has just ended looks like a listener.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            rule = f"another program listens there (ss -ltnp 'sport = :{port}' names it); stop it or choose another"
            numbers[f"{key} instead"] = free_number(port, numbers)
            yield _bad_setting("port-taken-by-program", key, port, rule, numbers[f"{key} instead"])
        elif error.errno == errno.EACCES:
            # This user may not open ports below 1024. The engine may.
            return
        elif error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            rule = "no interface of this machine has that address (ip address lists them)"
            yield _bad_setting("address-not-here", "bindAddress", address, rule, "127.0.0.1")
        else:
            raise


def _against_major(engine: docker.DockerClient, prefix: str, major: int) -> Errors:
    name = f"{prefix}-{roles.POSTGRES}-data"
    try:
        labels = engine.volumes.get(name).attrs["Labels"] or {}
    except NotFound:
        return
    held = labels.get(POSTGRES_MAJOR, str(major))
    if held != str(major):
        rule = (
            f"the volume {name} holds a cluster of PostgreSQL {held}, and data files do not move between majors "
            f"(dump and restore into a new stack instead, or, if nothing in it is needed, docker volume rm {name}); "
            "nothing was touched"
        )
        yield _bad_setting("postgres-major-changed", "postgresVersion", major, rule, held)


def _against_volume(containers: list[Container], prefix: str) -> Errors:
    """Two servers on one volume would ruin it."""
    name = f"{prefix}-{roles.POSTGRES}-data"
    for container in containers:
        if _is_ours(container, prefix):
            continue
        if any(mount.get("Name") == name for mount in container.attrs["Mounts"]):
            yield UserError(
                "volume-in-use",
                f"the volume {name} is in use by the container {container.name}, which is not of this stack",
                rule="two servers on one volume would ruin it",
                remedy=f"docker stop {container.name}",
            )


def _against_images(engine: docker.DockerClient, args: PlatformArgs, prefix: str) -> Errors:
    """A base image is needed only while the image that is built from it does not exist."""
    needed: dict[str, str] = {}
    for role, image in args.image_builds.items():
        if not _is_local(engine, f"{prefix.lower()}/{role}:{image.digest}"):
            for base in image.bases:
                # MLflow's image copies PostgreSQL's tools from the base of PostgreSQL's image.
                needed.setdefault(base, role if base == image.base else roles.POSTGRES)
    for base, role in needed.items():
        if not _is_local(engine, base):
            yield from _against_registry(engine, role, base)


def _against_registry(engine: docker.DockerClient, role: str, base: str) -> Errors:
    try:
        engine.images.get_registry_data(base)
    except (APIError, OSError) as error:
        yield UserError(
            "image-not-found",
            f"the image {base} cannot be found, neither on the Docker engine nor in a registry ({_reason(error)})",
            rule=f"{role} is built from it. Load it (docker pull, docker load) or choose another",
            remedy=_another_image(role, base),
        )


def _another_image(role: str, base: str) -> str:
    """The command that sets an image that is known to work."""
    match role:
        case "mlflow":
            return "bin/pulumi config set pythonImage python:3.13-slim-trixie"
        case "adminer" | "exporter" | "gateway":
            return "bin/pulumi config set debianImage debian:trixie-slim"
    official = base.startswith("postgres:") and base.endswith("-trixie")
    return "bin/pulumi config set postgresVersion 17" if official else "bin/pulumi config rm postgresImage"


def _is_local(engine: docker.DockerClient, reference: str) -> bool:
    try:
        engine.images.get(reference)
    except APIError:
        # It does not exist, or the name is invalid.
        return False
    return True


def _reason(error: Exception) -> str:
    return str(error.explanation if isinstance(error, APIError) and error.explanation else error)

"""The connection to the Docker engine."""

from __future__ import annotations

import os

import docker
from docker.errors import DockerException

from contract.errors import UserError

DEFAULT_HOST = "unix:///var/run/docker.sock"


class EngineError(UserError):
    """The engine cannot be used."""


def engine_host() -> str:
    """The address of the engine, by the rules of Docker's client and the Pulumi provider."""
    return os.environ.get("DOCKER_HOST") or DEFAULT_HOST


def open_engine() -> docker.DockerClient:
    """Connect to the engine. Raises `EngineError` if it does not answer."""
    host = engine_host()
    _check_socket(host)
    try:
        client = docker.from_env(timeout=60)
        client.ping()
    except (DockerException, OSError) as error:
        raise EngineError(
            "engine-not-running",
            f"no Docker engine answers at {host} ({_innermost(error)})",
            rule="it must run before the stack can",
            remedy="make engine, or systemctl start docker",
        ) from None
    return client


def _check_socket(host: str) -> None:
    """Check the socket's permissions: Docker's client hides this reason under four exceptions."""
    path = host.removeprefix("unix://")
    if path == host or not os.path.exists(path) or os.access(path, os.R_OK | os.W_OK):
        return
    raise EngineError(
        "engine-socket-closed",
        f"the Docker engine's socket {path} is closed to this user",
        rule="reading and writing it is needed",
        remedy='sudo usermod -aG docker "$USER", then sign in anew',
    )


def _innermost(error: BaseException) -> str:
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return str(error)

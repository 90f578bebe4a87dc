"""The schema job of a stack, and its other commands, each in a container like its own."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import docker
from docker.errors import DockerException
from docker.models.containers import Container
from requests import RequestException

from contract import labels
from contract.errors import UserError

from . import helpers, objects
from .stack import not_up, prefix

# How much of what a failed command said is shown, in lines.
_LAST_WORDS = 5

_OF_THE_HOST = ("CapAdd", "Mounts")
"""Settings that the engine keeps with what a container has of its host."""


def find(engine: docker.DockerClient, stack: str) -> Container:
    """The job's container, ended as it is. Raises `UserError` if the stack is not up."""
    for container in objects.containers(engine, prefix(stack)):
        if objects.is_schema_job(container, prefix(stack)):
            return container
    raise not_up(stack)


def make(
    engine: docker.DockerClient,
    job: Container,
    command: Sequence[str],
    role: str,
    *,
    by: str,
    changes: bool = False,
    **changed: Any,
) -> Container:
    """A container like the job's, not started, for another command; `changed` are settings as the engine names them.

    `by` is which of our commands waits for it, and `changes` whether it does more than read.
    """
    (network,) = job.attrs["NetworkSettings"]["Networks"]
    configuration = {
        **job.attrs["Config"],
        "Image": job.attrs["Image"],
        "Cmd": list(command),
        "Labels": helpers.helper_labels(job.labels, role, by, changes=changes),
        "HostConfig": {**job.attrs["HostConfig"], "NetworkMode": network},
    }
    for name, value in changed.items():
        (configuration["HostConfig"] if name in _OF_THE_HOST else configuration)[name] = value
    name = f"{job.labels[labels.STACK]}-{role}-{secrets.token_hex(3)}"
    made = engine.api.create_container_from_config(configuration, name)  # type: ignore[no-untyped-call]  # of the SDK
    return engine.containers.get(made["Id"])


def run(engine: docker.DockerClient, job: Container, *command: str, by: str, changes: bool = False) -> str:
    """Run another command of the job; what it printed. Raises `UserError` with its last words if it failed."""
    container = make(engine, job, command, command[0], by=by, changes=changes)
    try:
        container.start()
        code = container.wait()["StatusCode"]
        if code:
            said = container.logs().decode(errors="replace").strip().splitlines()
            raise UserError("job-failed", "\n".join(said[-_LAST_WORDS:]) or f"{command[0]} ended with exit code {code}")
        return container.logs(stderr=False).decode()
    finally:
        # The next command removes it if the engine went away.
        with suppress(DockerException, RequestException):
            container.remove(force=True, v=True)

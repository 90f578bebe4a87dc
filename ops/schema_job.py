"""Runs the other commands of the schema job's image, each in a container like the job's."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from contract import labels
from contract.errors import UserError
from contract.names import object_name
from preflight.engine import EngineError

from . import helper_containers
from .runtime import Container, GoneError, Runtime, TaskLike, schema_job
from .stack import not_up, prefix

# Lines of a failed command's log that are shown.
_LAST_LINES = 5


def find(runtime: Runtime, stack: str) -> Container:
    """The job's container. Raises `UserError` if the stack is not up."""
    job = schema_job(runtime, prefix(stack))
    if job is None:
        raise not_up(stack)
    return job


def create(
    runtime: Runtime,
    job: Container,
    arguments: Sequence[str],
    role: str,
    *,
    command: str,
    changes: bool = False,
    user: str = "",
    capabilities: Sequence[str] = (),
    volumes: Mapping[str, str] | None = None,
    host_paths: Mapping[Path, str] | None = None,
) -> Container:
    """Create a helper like the job, without starting it.

    `command` is our command that waits for it. `changes` tells whether it does more than read.
    """
    task = TaskLike(
        name=f"{object_name(job.labels[labels.STACK], role)}-{secrets.token_hex(3)}",
        command=arguments,
        labels=helper_containers.helper_labels(job.labels, role, command, changes=changes),
        user=user,
        capabilities=capabilities,
        volumes=volumes or {},
        host_paths=host_paths or {},
    )
    return runtime.create(task, job)


def run(runtime: Runtime, job: Container, *arguments: str, command: str, changes: bool = False) -> str:
    """Run another command of the job's image. Returns its output. Raises `UserError` with its last lines."""
    container = create(runtime, job, arguments, arguments[0], command=command, changes=changes)
    try:
        runtime.start(container)
        code = runtime.wait(container)
        if code:
            lines = _text(runtime, container).strip().splitlines()
            raise UserError(
                "job-failed", "\n".join(lines[-_LAST_LINES:]) or f"{arguments[0]} ended with exit code {code}"
            )
        return _text(runtime, container, errors=False)
    finally:
        # If the engine no longer answers, the next command removes it.
        with suppress(EngineError, GoneError):
            runtime.discard(container)


def _text(runtime: Runtime, container: Container, *, errors: bool = True) -> str:
    return b"".join(runtime.logs(container, errors=errors)).decode(errors="replace")

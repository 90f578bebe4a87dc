"""The containers that our commands run for themselves, beside those that Pulumi makes: whose each is, and what is left
of one whose command was killed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import docker
from docker.models.containers import Container

from contract import labels, roles
from contract.errors import UserError

from . import objects
from .processes import process_of, this_process
from .stack import prefix, short_name
from .turns import AGAIN, turn

_RUNNING = ("running", "paused", "restarting")

# Seconds. What a command on another machine has left is its own for so long.
_LEFT = 600


def helper_labels(job: Mapping[str, str], role: str, by: str, *, changes: bool) -> dict[str, str]:
    """What a helper is marked with: the job's own marks, and which command waits for it."""
    return {
        labels.STACK: job.get(labels.STACK, ""),
        labels.DEPLOYMENT: job.get(labels.DEPLOYMENT, ""),
        labels.ROLE: role,
        labels.KIND: labels.HELPER,
        labels.COMMAND: by,
        labels.CHANGES: str(changes).lower(),
        labels.WAITER: str(this_process()),
    }


@contextmanager
def alone(engine: docker.DockerClient, stack: str, command: str, *, waits: bool, again: str) -> Iterator[int]:
    """Have a stack to oneself, and to what runs there; raises `UserError` as `turn` does."""
    with turn(engine, stack, command, waits=waits, again=again) as descriptor:
        if waits:
            wait_for_unfinished(engine, prefix(stack))
        else:
            _refuse_unfinished(engine, stack)
        sweep(engine, prefix(stack))
        yield descriptor


def unfinished(engine: docker.DockerClient, prefix: str) -> list[Container]:
    """What runs and ends by itself: tasks, and helpers but those that only read and are waited for."""
    return [each for each in objects.containers(engine, prefix) if each.status in _RUNNING and _is_work(each)]


def wait_for_unfinished(engine: docker.DockerClient, prefix: str) -> None:
    """Wait until all that runs and ends by itself has ended, whatever it takes: a migration is not to be cut."""
    told: dict[str, float] = {}
    while found := unfinished(engine, prefix):
        now = time.monotonic()
        for each in found:
            if now - told.get(str(each.id), -AGAIN) >= AGAIN:
                print(f"waiting for {each.name} to end{_whose(each)}", flush=True)
                told[str(each.id)] = now
        time.sleep(0.5)


def sweep(engine: docker.DockerClient, prefix: str) -> None:
    """Remove the helpers that have ended and that nobody waits for any more."""
    for each in objects.containers(engine, prefix):
        if objects.label(each, labels.KIND) != labels.HELPER or each.status in _RUNNING or _is_waited_for(engine, each):
            continue
        objects.remove_container(each)
        print(f"recovered: removed the container {each.name}, which a killed {_command(each)} had left", flush=True)
        if objects.label(each, labels.ROLE) == roles.RESTORE:
            _remove_job(engine, prefix)


def _remove_job(engine: docker.DockerClient, prefix: str) -> None:
    """Another schema may have been put back: the job is to run again, or the server would start on it."""
    for each in objects.containers(engine, prefix):
        if objects.is_schema_job(each, prefix):
            objects.remove_container(each)


def _refuse_unfinished(engine: docker.DockerClient, stack: str) -> None:
    for each in unfinished(engine, prefix(stack)):
        raise UserError(
            "container-at-work",
            f"{each.name} still works on the stack {short_name(stack)}{_whose(each)}; nothing was touched",
            remedy=f"docker wait {each.name}, or docker stop {each.name}",
        )


def _is_work(container: Container) -> bool:
    match objects.label(container, labels.KIND):
        case kind if kind == labels.TASK:
            return True
        case kind if kind == labels.HELPER:
            waiter = process_of(objects.label(container, labels.WAITER))
            return objects.label(container, labels.CHANGES) == "true" or not (waiter and waiter.lives())
    return False


def _is_waited_for(engine: docker.DockerClient, container: Container) -> bool:
    waiter = process_of(objects.label(container, labels.WAITER))
    if waiter is None or not waiter.lives():
        return False
    return waiter.is_here or objects.age(container, objects.now(engine)) < _LEFT


def _whose(container: Container) -> str:
    """Why something runs that no command here waits for."""
    if objects.label(container, labels.KIND) != labels.HELPER:
        return ""
    waiter = process_of(objects.label(container, labels.WAITER))
    if waiter and not waiter.is_here:
        return f": {_command(container)} on {waiter.host} has started it"
    return f": {_command(container)} has started it" + ("" if waiter and waiter.lives() else ", and was killed")


def _command(container: Container) -> str:
    return objects.label(container, labels.COMMAND)

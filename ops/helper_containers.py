"""The containers that our commands run: which process waits for each, and which ones a killed command has left."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from contract import labels, roles
from contract.errors import UserError

from .processes import process_of, this_process
from .runtime import Container, Runtime, schema_job
from .stack import prefix, short_name
from .stack_lock import REPEAT, locked

_RUNNING = ("running", "paused", "restarting")

# Seconds. A helper of a command on another machine is not removed before this age.
_LEFT = 600


def helper_labels(job: Mapping[str, str], role: str, command: str, *, changes: bool) -> dict[str, str]:
    """The labels of a helper: the job's own, and the command that waits for it."""
    return {
        labels.STACK: job.get(labels.STACK, ""),
        labels.DEPLOYMENT: job.get(labels.DEPLOYMENT, ""),
        labels.ROLE: role,
        labels.KIND: labels.HELPER,
        labels.COMMAND: command,
        labels.CHANGES: str(changes).lower(),
        labels.WAITER: str(this_process()),
    }


@contextmanager
def lock_when_idle(runtime: Runtime, stack: str, command: str, *, waits: bool, again: str) -> Iterator[int]:
    """Lock a stack when no task or helper works on it. Yields and raises like `locked`."""
    with locked(runtime.identity(), stack, command, waits=waits, again=again) as descriptor:
        if waits:
            wait_for_unfinished(runtime, prefix(stack))
        else:
            _refuse_unfinished(runtime, stack)
        remove_abandoned(runtime, prefix(stack))
        yield descriptor


def unfinished(runtime: Runtime, prefix: str) -> list[Container]:
    """Running tasks and helpers, except helpers that only read and whose command is alive."""
    return [each for each in runtime.containers(prefix) if each.status in _RUNNING and _is_work(each)]


def wait_for_unfinished(runtime: Runtime, prefix: str) -> None:
    """Wait for unfinished containers without a limit: a migration must not be interrupted."""
    printed: dict[str, float] = {}
    while found := unfinished(runtime, prefix):
        now = time.monotonic()
        for each in found:
            if now - printed.get(each.id, -REPEAT) >= REPEAT:
                print(f"waiting for {each.name} to end{_origin(each)}", flush=True)
                printed[each.id] = now
        time.sleep(0.5)


def remove_abandoned(runtime: Runtime, prefix: str) -> None:
    """Remove the helpers that have ended and whose command is no longer alive."""
    for each in runtime.containers(prefix):
        if each.kind != labels.HELPER or each.status in _RUNNING or _is_waited_for(runtime, each):
            continue
        runtime.remove(each)
        print(f"recovered: removed the container {each.name}, which a killed {_command(each)} had left", flush=True)
        if each.role == roles.RESTORE and (job := schema_job(runtime, prefix)):
            # The restore may have changed the schema. The job must run again before the server starts on it.
            runtime.remove(job)


def _refuse_unfinished(runtime: Runtime, stack: str) -> None:
    for each in unfinished(runtime, prefix(stack)):
        raise UserError(
            "container-at-work",
            f"{each.name} still works on the stack {short_name(stack)}{_origin(each)}; nothing was touched",
            remedy=f"docker wait {each.name}, or docker stop {each.name}",
        )


def _is_work(container: Container) -> bool:
    if container.kind == labels.HELPER:
        waiter = process_of(container.labels.get(labels.WAITER, ""))
        return container.labels.get(labels.CHANGES) == "true" or not (waiter and waiter.lives())
    return container.kind == labels.TASK


def _is_waited_for(runtime: Runtime, container: Container) -> bool:
    waiter = process_of(container.labels.get(labels.WAITER, ""))
    if waiter is None or not waiter.lives():
        return False
    return waiter.is_here or (runtime.now() - container.created).total_seconds() < _LEFT


def _origin(container: Container) -> str:
    """Text about the command that started a helper."""
    if container.kind != labels.HELPER:
        return ""
    waiter = process_of(container.labels.get(labels.WAITER, ""))
    if waiter and not waiter.is_here:
        return f": {_command(container)} on {waiter.host} has started it"
    return f": {_command(container)} has started it" + ("" if waiter and waiter.lives() else ", and was killed")


def _command(container: Container) -> str:
    return container.labels.get(labels.COMMAND, "")

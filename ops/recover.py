"""Repairs what an interrupted run has left, before it blocks the next run.

A killed `pulumi up` leaves its lock, pending operations in the state, and objects on the engine that are in no state.
Volumes and running tasks are never touched.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from contract import labels
from contract.errors import UserError

from . import helper_containers, pulumi_locks
from .readiness import ensure_ready, wait_for_recovery
from .runtime import Connect, Container, Network, Runtime
from .stack import export, prefix, project_name, pulumi, short_name

# Seconds until an object that a run creates is in its state: as long as a service may take to become ready.
_FRESH = 900


def run(options: argparse.Namespace, connect: Connect) -> None:
    """Recover the stack `options.stack`. Raises `UserError` if its objects belong to another state."""
    with closing(connect()) as runtime:
        # A preview changes nothing. It only needs the engine, for its refresh.
        if options.before != "preview":
            with recovered(runtime, options.stack, options.before, waits=options.before != "destroy"):
                return


@contextmanager
def recovered(runtime: Runtime, stack: str, before: str, *, waits: bool) -> Iterator[int]:
    """Lock and recover a stack for the next command: up, update, destroy or refresh.

    Yields the lock's file descriptor, for a program that this process executes.
    """
    again = f"make {'down' if before == 'destroy' else 'up'} STACK={short_name(stack)}"
    with helper_containers.lock_when_idle(runtime, stack, before, waits=waits, again=again) as lock:
        _recover(runtime, stack, before)
        yield lock


def _recover(runtime: Runtime, stack: str, before: str) -> None:
    _release_stale_lock(stack)
    # List the objects before reading the state: an object that a run on another machine creates meanwhile is then not
    # listed, or is in the state.
    containers = [each for each in runtime.containers(prefix(stack)) if each.kind != labels.HELPER]
    networks = runtime.networks(prefix(stack))
    state = export(stack)
    if before == "destroy":
        _refuse_protected(stack, state)
    resources = state["deployment"].get("resources") or []
    known = {resource.get("id") for resource in resources}
    found: list[Container | Network] = [*containers, *networks]
    orphans = [each for each in found if each.id not in known]
    _refuse_foreign(runtime, stack, orphans, _deployment(resources))
    _drop_pending_operations(stack, state)
    if before != "destroy":
        wait_for_recovery(runtime, prefix(stack))
    _remove_orphans(runtime, orphans)
    if before in ("up", "update"):
        ensure_ready(runtime, stack)
    if before == "destroy":
        _refuse_guests(runtime, stack)


def _release_stale_lock(stack: str) -> None:
    folder = pulumi_locks.folder(project_name(), short_name(stack))
    if folder and pulumi_locks.wait_for_the_living(folder, short_name(stack)):
        pulumi("cancel", "--yes", "--stack", stack)
        print("recovered: released the lock of a run that was killed", flush=True)


def _drop_pending_operations(stack: str, state: dict[str, Any]) -> None:
    """Remove pending operations. Their objects are in the state, or are found on the engine by their labels."""
    pending = state["deployment"].pop("pending_operations", None)
    if pending:
        pulumi("stack", "import", "--stack", stack, text=json.dumps(state))
        print(f"recovered: {len(pending)} operation(s) of the killed run were interrupted", flush=True)


def _refuse_foreign(
    runtime: Runtime, stack: str, orphans: Sequence[Container | Network], deployment: str | None
) -> None:
    """Refuse to remove objects of another state, and objects that another machine may be creating now."""
    for each in orphans:
        if each.labels.get(labels.DEPLOYMENT, "") != deployment:
            raise _foreign(each.name, stack)
    if not orphans or pulumi_locks.folder(project_name(), short_name(stack)):
        # A state in a local folder has locks, which show whether another run uses it.
        return
    now = runtime.now()
    for each in orphans:
        if (age := (now - each.created).total_seconds()) < _FRESH:
            what = "rm --force" if isinstance(each, Container) else "network rm"
            raise UserError(
                "object-too-young",
                f"{each.name} was created {age:.0f} s ago and is not in the state: a run on another machine may be "
                f"working on the stack {short_name(stack)}; nothing was touched",
                rule="wait until that run has ended, or remove the object if the run was killed",
                remedy=f"docker {what} {each.name}",
            )


def _remove_orphans(runtime: Runtime, orphans: Sequence[Container | Network]) -> None:
    # Containers come first: they are on the networks.
    for each in orphans:
        if isinstance(each, Container):
            runtime.remove(each)
            print(f"recovered: removed the container {each.name}, which a killed run had made", flush=True)
        else:
            runtime.remove_network(each)
            print(f"recovered: removed the network {each.name}, which a killed run had made", flush=True)


def _refuse_protected(stack: str, state: dict[str, Any]) -> None:
    """Refuse before Pulumi does: its message names a command that does not change the setting."""
    if any(resource.get("protect") for resource in state["deployment"].get("resources") or []):
        name = short_name(stack)
        raise UserError(
            "stack-protected",
            "protectData is true",
            rule=f"the stack {name} may not be destroyed; nothing was touched",
            remedy=f"bin/pulumi config set protectData false --stack {name}, then make up STACK={name}",
        )


def _refuse_guests(runtime: Runtime, stack: str) -> None:
    """Refuse before Pulumi fails: it cannot remove a network with a foreign container, but removes the rest."""
    ours = {container.id for container in runtime.containers(prefix(stack))}
    for network in runtime.networks(prefix(stack)):
        guests = [name for identity, name in runtime.members(network).items() if identity not in ours]
        if guests:
            raise UserError(
                "network-in-use",
                f"{', '.join(guests)} is on this stack's network {network.name}, which cannot be removed before it",
                rule="take down what it belongs to",
                remedy=f"docker rm --force {' '.join(guests)}",
            )


def _deployment(resources: list[dict[str, Any]]) -> str | None:
    """The deployment label of the stack's objects; None if this state has created nothing yet."""
    for resource in resources:
        if resource["type"] == "random:index/randomId:RandomId" and resource["urn"].endswith("-deployment"):
            return str(resource["outputs"]["hex"])
    return None


def _foreign(name: str, stack: str) -> UserError:
    return UserError(
        "object-of-another-state",
        f"{name} has the name of the stack {stack}, but this state did not create it: it belongs to another "
        "checkout or user of this Docker engine, or to a state that was lost",
        rule="take that stack down where it was created (make down). If its state is lost, remove its containers; its "
        "data stays",
        remedy=f"make forget STACK={short_name(stack)}",
    )

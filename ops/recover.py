"""Mend what an interrupted run left behind, before it blocks the next one or clashes with it.

A killed `pulumi up` leaves its lock, operations that the state calls pending, and objects on the engine that no
state knows. Nothing that holds data is removed here: volumes are never touched. Neither is what still works.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import docker
from docker.models.containers import Container
from docker.models.networks import Network

from contract import labels
from contract.errors import UserError
from preflight.engine import open_engine

from . import helpers, locks, objects
from .settle import settle, wait_for_recovery
from .stack import export, prefix, project_name, pulumi, short_name

# Seconds that a run may take until what it makes is in its state: as long as a service may take to be ready.
_FRESH = 900


def run(options: argparse.Namespace) -> None:
    """Mend the stack `options.stack`. Raises `UserError` if its objects belong to a state other than this one."""
    if options.before == "preview":
        try_engine()
        return
    with mended(options.stack, options.before, waits=options.before != "destroy"):
        return


def try_engine() -> None:
    """A preview changes nothing, and neither do we; but the state is refreshed first, which needs the engine."""
    open_engine().close()


@contextmanager
def mended(stack: str, before: str, *, waits: bool) -> Iterator[int]:
    """Have a stack to oneself, and mended, for what is run next: up, update, destroy or refresh.

    Yields the lock's file, for a program that this process becomes.
    """
    engine = open_engine()
    try:
        again = f"make {'down' if before == 'destroy' else 'up'} STACK={short_name(stack)}"
        with helpers.alone(engine, stack, before, waits=waits, again=again) as turn:
            _mend(engine, stack, before)
            yield turn
    finally:
        engine.close()


def _mend(engine: docker.DockerClient, stack: str, before: str) -> None:
    _release_stale_lock(stack)
    # Looked at before the state is read: what another machine's run makes meanwhile is in the state by then, or unseen.
    containers = [
        each for each in objects.containers(engine, prefix(stack)) if objects.label(each, labels.KIND) != labels.HELPER
    ]
    networks = objects.networks(engine, prefix(stack))
    state = export(stack)
    if before == "destroy":
        _refuse_protected(stack, state)
    resources = state["deployment"].get("resources") or []
    known = {resource.get("id") for resource in resources}
    found: list[Container | Network] = [*containers, *networks]
    orphans = [each for each in found if each.id not in known]
    _refuse_foreign(engine, stack, orphans, _deployment(resources))
    _drop_pending_operations(stack, state)
    if before != "destroy":
        wait_for_recovery(engine, prefix(stack))
    _remove_orphans(orphans)
    if before in ("up", "update"):
        settle(engine, stack)
    if before == "destroy":
        _refuse_guests(engine, stack)


def _release_stale_lock(stack: str) -> None:
    where = locks.folder(project_name(), short_name(stack))
    if where and locks.wait_for_the_living(where, short_name(stack)):
        pulumi("cancel", "--yes", "--stack", stack)
        print("recovered: released the lock of a run that was killed", flush=True)


def _drop_pending_operations(stack: str, state: dict[str, Any]) -> None:
    """What they made is either in the state or is found on the engine by its labels."""
    pending = state["deployment"].pop("pending_operations", None)
    if pending:
        pulumi("stack", "import", "--stack", stack, text=json.dumps(state))
        print(f"recovered: {len(pending)} operation(s) of the killed run were cut short", flush=True)


def _refuse_foreign(
    engine: docker.DockerClient, stack: str, orphans: Sequence[Container | Network], deployment: str | None
) -> None:
    """What another state made, and what another machine may be making at this moment, is not ours to remove."""
    for each in orphans:
        if objects.label(each, labels.DEPLOYMENT) != deployment:
            raise _foreign(str(each.name), stack)
    if not orphans or locks.folder(project_name(), short_name(stack)):
        # The locks of a state in a folder tell whether somebody works on it.
        return
    now = objects.now(engine)
    for each in orphans:
        if (age := objects.age(each, now)) < _FRESH:
            what = "rm --force" if isinstance(each, Container) else "network rm"
            raise UserError(
                "object-too-young",
                f"{each.name} was made {age:.0f} s ago, and the state does not know it: a run on another machine may "
                f"be at work on the stack {short_name(stack)}; nothing was touched",
                rule="wait until that run has ended, or remove the object if the run was killed",
                remedy=f"docker {what} {each.name}",
            )


def _remove_orphans(orphans: Sequence[Container | Network]) -> None:
    # Containers first: they are on the networks.
    for each in orphans:
        if isinstance(each, Container):
            objects.remove_container(each)
            print(f"recovered: removed the container {each.name}, which a killed run had made", flush=True)
        else:
            objects.remove_network(each)
            print(f"recovered: removed the network {each.name}, which a killed run had made", flush=True)


def _refuse_protected(stack: str, state: dict[str, Any]) -> None:
    """Pulumi would refuse as well, but with a command that leaves the setting as it is."""
    if any(resource.get("protect") for resource in state["deployment"].get("resources") or []):
        name = short_name(stack)
        raise UserError(
            "stack-protected",
            "protectData is true",
            rule=f"the stack {name} may not be destroyed; nothing was touched",
            remedy=f"bin/pulumi config set protectData false --stack {name}, then make up STACK={name}",
        )


def _refuse_guests(engine: docker.DockerClient, stack: str) -> None:
    """A network that somebody else's container is on cannot be removed; half of the stack would be gone by then."""
    ours = {container.id for container in objects.containers(engine, prefix(stack))}
    for network in objects.networks(engine, prefix(stack)):
        network.reload()
        guests = [str(container.name) for container in network.containers if container.id not in ours]
        if guests:
            raise UserError(
                "network-in-use",
                f"{', '.join(guests)} is on this stack's network {network.name}, which cannot be removed before it",
                rule="take down what it belongs to",
                remedy=f"docker rm --force {' '.join(guests)}",
            )


def _deployment(resources: list[dict[str, Any]]) -> str | None:
    """The mark that everything of this life of the stack carries; None if this state has not made anything yet."""
    for resource in resources:
        if resource["type"] == "random:index/randomId:RandomId" and resource["urn"].endswith("-deployment"):
            return str(resource["outputs"]["hex"])
    return None


def _foreign(name: str, stack: str) -> UserError:
    return UserError(
        "object-of-another-state",
        f"{name} runs under the name of the stack {stack}, but this state did not make it: it belongs to another "
        "checkout or user of this Docker engine, or to a state that was lost",
        rule="take that stack down where it was made (make down). If its state is lost, its containers go and its data "
        "stays",
        remedy=f"make forget STACK={short_name(stack)}",
    )

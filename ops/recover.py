"""Mend what an interrupted run left behind, before it blocks the next one or clashes with it.

A killed `pulumi up` leaves its lock, operations that the state calls pending, and objects on the engine that no
state knows. Nothing that holds data is removed here: volumes are never touched.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import docker
from docker.models.containers import Container
from docker.models.networks import Network

from preflight import open_engine

from . import locks, objects
from .settle import settle
from .stack import StackError, export, prefix, project_name, pulumi, short_name


def run(options: argparse.Namespace) -> None:
    """Mend the stack `options.stack`. Raises `StackError` if its objects belong to a state other than this one."""
    stack = options.stack
    if options.before == "preview":
        # It changes nothing, and neither do we; but the state is refreshed first, which needs the engine.
        open_engine().close()
        return
    _release_stale_lock(stack)
    state = export(stack)
    if options.before == "destroy":
        _refuse_protected(stack, state)
    _drop_pending_operations(stack, state)
    engine = open_engine()
    try:
        _remove_orphans(engine, stack, state)
        if options.before in ("up", "update"):
            settle(engine, prefix(stack))
        if options.before == "destroy":
            _refuse_guests(engine, stack)
    finally:
        engine.close()


def _release_stale_lock(stack: str) -> None:
    where = locks.folder(project_name(), short_name(stack))
    if where and locks.wait_for_the_living(where):
        pulumi("cancel", "--yes", "--stack", stack)
        print("recovered: released the lock of a run that was killed", flush=True)


def _drop_pending_operations(stack: str, state: dict[str, Any]) -> None:
    """What they made is either in the state or is found on the engine by its labels."""
    pending = state["deployment"].pop("pending_operations", None)
    if pending:
        pulumi("stack", "import", "--stack", stack, text=json.dumps(state))
        print(f"recovered: {len(pending)} operation(s) of the killed run were cut short", flush=True)


def _remove_orphans(engine: docker.DockerClient, stack: str, state: dict[str, Any]) -> None:
    resources = state["deployment"].get("resources") or []
    known = {resource.get("id") for resource in resources}
    deployment = _deployment(resources)
    containers = [each for each in objects.containers(engine, prefix(stack)) if each.id not in known]
    networks = [each for each in objects.networks(engine, prefix(stack)) if each.id not in known]
    found: list[Container | Network] = [*containers, *networks]
    for each in found:
        if objects.label(each, "deployment") != deployment:
            raise StackError(_foreign(str(each.name), stack))
    for container in containers:
        objects.remove_container(container)
        print(f"recovered: removed the container {container.name}, which a killed run had made", flush=True)
    for network in networks:
        objects.remove_network(network)
        print(f"recovered: removed the network {network.name}, which a killed run had made", flush=True)


def _refuse_protected(stack: str, state: dict[str, Any]) -> None:
    """Pulumi would refuse as well, but with a command that leaves the setting as it is."""
    if any(resource.get("protect") for resource in state["deployment"].get("resources") or []):
        name = short_name(stack)
        raise StackError(
            f"protectData is true: the stack {name} may not be destroyed; nothing was touched. If it is to go, mend it "
            f"with: bin/pulumi config set protectData false --stack {name}, then make up STACK={name}"
        )


def _refuse_guests(engine: docker.DockerClient, stack: str) -> None:
    """A network that somebody else's container is on cannot be removed; half of the stack would be gone by then."""
    ours = {container.id for container in objects.containers(engine, prefix(stack))}
    for network in objects.networks(engine, prefix(stack)):
        network.reload()
        guests = [str(container.name) for container in network.containers if container.id not in ours]
        if guests:
            raise StackError(
                f"{', '.join(guests)} is on this stack's network {network.name}, which cannot go before it does: take "
                f"down what it belongs to. Mend it with: docker rm --force {' '.join(guests)}"
            )


def _deployment(resources: list[dict[str, Any]]) -> str | None:
    """The mark that everything of this life of the stack carries; None if this state has not made anything yet."""
    for resource in resources:
        if resource["type"] == "random:index/randomId:RandomId" and resource["urn"].endswith("-deployment"):
            return str(resource["outputs"]["hex"])
    return None


def _foreign(name: str, stack: str) -> str:
    return (
        f"{name} runs under the name of the stack {stack}, but this state did not make it: it belongs to another "
        "checkout or user of this Docker engine, or to a state that was lost. Take that stack down where it was "
        f"made (make down), or, if its state is lost, mend it with: make forget STACK={short_name(stack)} "
        "(its containers go, its data stays)"
    )

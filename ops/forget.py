"""Begin anew after the state or its passphrase was lost: what runs is removed, what holds data stays."""

from __future__ import annotations

import argparse
import os
import time

import docker

from contract import labels
from preflight.engine import open_engine

from . import backend, helpers, objects
from .stack import prefix, short_name


def run(options: argparse.Namespace) -> None:
    """Remove the containers and networks that carry the stack's name. Its volumes stay, for the next `up` to open.

    A local state whose passphrase is gone cannot be read by anybody: it is put aside, not deleted.
    """
    engine = open_engine()
    try:
        again = f"make forget STACK={short_name(options.stack)}"
        with helpers.alone(engine, options.stack, "forget", waits=False, again=again):
            _remove(engine, prefix(options.stack))
            _put_unreadable_state_aside()
    finally:
        engine.close()


def _remove(engine: docker.DockerClient, prefix: str) -> None:
    for container in objects.containers(engine, prefix):
        # What is left of those only reads, and is waited for.
        if objects.label(container, labels.KIND) != labels.HELPER:
            objects.remove_container(container)
            print(f"removed the container {container.name}")
    for network in objects.networks(engine, prefix):
        objects.remove_network(network)
        print(f"removed the network {network.name}")
    for volume in objects.volumes(engine, prefix):
        print(f"kept the volume {volume.name}")


def _put_unreadable_state_aside() -> None:
    if "PULUMI_CONFIG_PASSPHRASE" in os.environ or os.environ.get("PULUMI_CONFIG_PASSPHRASE_FILE"):
        return
    folder = backend.folder()
    state, passphrase = folder / ".pulumi", folder / "passphrase"
    if not state.exists() or (passphrase.exists() and passphrase.stat().st_size):
        return
    aside = state.with_name(f".pulumi.unreadable-{time.strftime('%Y%m%d-%H%M%S')}")
    state.rename(aside)
    print(f"put the state that has no passphrase aside, as {aside}")

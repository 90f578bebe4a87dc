"""Begin anew after the state or its passphrase was lost: what runs is removed, what holds data stays."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from preflight import open_engine

from . import objects
from .stack import prefix


def run(options: argparse.Namespace) -> None:
    """Remove the containers and networks that carry the stack's name. Its volumes stay, for the next `up` to open.

    A local state whose passphrase is gone cannot be read by anybody: it is put aside, not deleted.
    """
    engine = open_engine()
    try:
        for container in objects.containers(engine, prefix(options.stack)):
            objects.remove_container(container)
            print(f"removed the container {container.name}")
        for network in objects.networks(engine, prefix(options.stack)):
            objects.remove_network(network)
            print(f"removed the network {network.name}")
        for volume in objects.volumes(engine, prefix(options.stack)):
            print(f"kept the volume {volume.name}")
    finally:
        engine.close()
    _put_unreadable_state_aside()


def _put_unreadable_state_aside() -> None:
    if "PULUMI_CONFIG_PASSPHRASE" in os.environ or os.environ.get("PULUMI_CONFIG_PASSPHRASE_FILE"):
        return
    folder = _local_state()
    state, passphrase = folder / ".pulumi", folder / "passphrase"
    if not state.exists() or (passphrase.exists() and passphrase.stat().st_size):
        return
    aside = state.with_name(f".pulumi.unreadable-{time.strftime('%Y%m%d-%H%M%S')}")
    state.rename(aside)
    print(f"put the state that has no passphrase aside, as {aside}")


def _local_state() -> Path:
    """The folder that bin/pulumi keeps the state in, for a user without a backend of their own."""
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "mlflow-postgres"

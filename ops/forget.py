"""Starts again after the state or its passphrase was lost: removes containers and networks, and keeps volumes."""

from __future__ import annotations

import argparse
import os
import time
from contextlib import closing

from contract import labels

from . import backend, helper_containers
from .runtime import Connect, Runtime
from .stack import prefix, short_name


def run(options: argparse.Namespace, connect: Connect) -> None:
    """Remove the containers and networks with the stack's label. The next `up` uses its volumes again.

    A local state without its passphrase cannot be read: it is renamed, not deleted.
    """
    with closing(connect()) as runtime:
        again = f"make forget STACK={short_name(options.stack)}"
        with helper_containers.lock_when_idle(runtime, options.stack, "forget", waits=False, again=again):
            _remove(runtime, prefix(options.stack))
            _rename_unreadable_state()


def _remove(runtime: Runtime, prefix: str) -> None:
    for container in runtime.containers(prefix):
        # The remaining helpers only read, and their commands wait for them.
        if container.kind != labels.HELPER:
            runtime.remove(container)
            print(f"removed the container {container.name}")
    for network in runtime.networks(prefix):
        runtime.remove_network(network)
        print(f"removed the network {network.name}")
    for volume in runtime.volumes(prefix):
        print(f"kept the volume {volume}")


def _rename_unreadable_state() -> None:
    if "PULUMI_CONFIG_PASSPHRASE" in os.environ or os.environ.get("PULUMI_CONFIG_PASSPHRASE_FILE"):
        return
    folder = backend.folder()
    state, passphrase = folder / ".pulumi", folder / "passphrase"
    if not state.exists() or (passphrase.exists() and passphrase.stat().st_size):
        return
    aside = state.with_name(f".pulumi.unreadable-{time.strftime('%Y%m%d-%H%M%S')}")
    state.rename(aside)
    print(f"renamed the state whose passphrase is lost to {aside}")

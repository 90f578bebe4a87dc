"""Begin anew after the state or its passphrase was lost: what runs is removed, what holds data stays."""

from __future__ import annotations

import argparse

from preflight import open_engine

from . import objects
from .stack import prefix


def run(options: argparse.Namespace) -> None:
    """Remove the containers and networks that carry the stack's name. Its volumes stay, for the next `up` to open."""
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

"""What a destroyed stack left on purpose."""

from __future__ import annotations

import argparse

from preflight.engine import open_engine

from . import objects
from .stack import prefix


def run(options: argparse.Namespace) -> None:
    """Print the volumes of the stack that are still there, and the command that deletes them."""
    engine = open_engine()
    try:
        names = sorted(str(volume.name) for volume in objects.volumes(engine, prefix(options.stack)))
    finally:
        engine.close()
    if names:
        print(f"kept, for the next `make up` to find every run again: {', '.join(names)}")
        print(f"to delete them and every run in them: docker volume rm {' '.join(names)}")

"""The volumes that are kept after a stack was destroyed."""

from __future__ import annotations

import argparse
from contextlib import closing

from .runtime import Connect
from .stack import prefix


def run(options: argparse.Namespace, connect: Connect) -> None:
    """Print the stack's volumes that still exist, and the command that deletes them."""
    with closing(connect()) as runtime:
        names = sorted(runtime.volumes(prefix(options.stack)))
    if names:
        print(f"kept the volumes with every run, for the next `make up`: {', '.join(names)}")
        print(f"to delete them and every run in them: docker volume rm {' '.join(names)}")

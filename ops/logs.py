"""What the services say."""

from __future__ import annotations

import argparse
import sys
import threading

from docker.models.containers import Container

from preflight import open_engine

from . import objects
from .stack import StackError, prefix, short_name

_LINES = 200
_LAST_WORDS = 12


def run(options: argparse.Namespace) -> None:
    """Print the last lines of every service of the stack, and, if asked to, those that are yet to come."""
    engine = open_engine()
    try:
        readers = [
            threading.Thread(target=_print, args=(container, _LINES, options.follow), daemon=True)
            for container in objects.containers(engine, prefix(options.stack))
        ]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
    finally:
        engine.close()


def explain(options: argparse.Namespace) -> None:
    """Print the last words of the services that are not well: Pulumi says only that they did not become ready.

    Raises `StackError` if there is such a service.
    """
    engine = open_engine()
    try:
        unwell = [each for each in objects.containers(engine, prefix(options.stack)) if not objects.is_well(each)]
        for container in unwell:
            print(f"{container.name} is {objects.condition(container)}; its last words:")
            _print(container, _LAST_WORDS, follow=False)
    finally:
        engine.close()
    if unwell:
        names = ", ".join(str(each.name) for each in unwell)
        raise StackError(
            f"not ready: {names}. When the cause is gone, mend it with: make up STACK={short_name(options.stack)}"
        )


def _print(container: Container, lines: int, follow: bool) -> None:
    role = objects.label(container, "role")
    rest = b""
    for chunk in container.logs(stream=True, follow=follow, tail=lines):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            _say(role, line)
    if rest:
        _say(role, rest)


def _say(role: str, line: bytes) -> None:
    # In one piece: the services speak at the same time.
    sys.stdout.write(f"{role:<9}{line.decode(errors='replace')}\n")
    sys.stdout.flush()

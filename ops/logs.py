"""What the services say."""

from __future__ import annotations

import argparse
import sys
import threading

from docker.errors import NotFound
from docker.models.containers import Container

from contract import labels
from contract.errors import UserError
from preflight.engine import open_engine

from . import objects
from .stack import prefix, short_name

_LINES = 200
_LAST_WORDS = 12


def run(options: argparse.Namespace) -> None:
    """Print the last lines of every service of the stack, and, if asked to, those that are yet to come."""
    engine = open_engine()
    troubles: list[Exception] = []
    try:
        readers = [
            threading.Thread(target=_read, args=(container, options.follow, troubles), daemon=True)
            for container in objects.containers(engine, prefix(options.stack))
        ]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
    finally:
        engine.close()
    for trouble in troubles:
        raise trouble


def _read(container: Container, follow: bool, troubles: list[Exception]) -> None:
    """Print what a container says, and note what went wrong with it: a thread's own error would be a traceback."""
    try:
        _print(container, _LINES, follow)
    except NotFound:
        # Removed meanwhile: it has said all it had to say.
        return
    except (*objects.ENGINE_ERRORS, OSError) as error:
        troubles.append(error)


def explain(options: argparse.Namespace) -> None:
    """Print the last words of the services that are not well: Pulumi says only that they did not become ready.

    Raises `UserError` if there is such a service.
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
        raise UserError(
            "not-ready",
            f"not ready: {names}",
            rule="remove the cause first",
            remedy=f"make up STACK={short_name(options.stack)}",
        )


def _print(container: Container, lines: int, follow: bool) -> None:
    role = objects.label(container, labels.ROLE)
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

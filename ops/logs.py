"""The services' logs."""

from __future__ import annotations

import argparse
import sys
import threading
from contextlib import closing

from contract.errors import UserError

from .runtime import Connect, Container, GoneError, Runtime
from .stack import prefix, short_name

_LINES = 200
_LAST_LINES = 12


def run(options: argparse.Namespace, connect: Connect) -> None:
    """Print the last lines of every service of the stack and, with `--follow`, new lines as they come."""
    errors: list[Exception] = []
    with closing(connect()) as runtime:
        readers = [
            threading.Thread(target=_read, args=(runtime, container, options.follow, errors), daemon=True)
            for container in runtime.containers(prefix(options.stack))
        ]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
    for error in errors:
        raise error


def _read(runtime: Runtime, container: Container, follow: bool, errors: list[Exception]) -> None:
    """Print a container's log. Errors are collected: an exception in a thread would only print a traceback."""
    try:
        _print(runtime, container, _LINES, follow)
    except GoneError:
        # The container was removed meanwhile: its log has ended.
        return
    except (UserError, OSError) as error:
        errors.append(error)


def explain(options: argparse.Namespace, connect: Connect) -> None:
    """Print the last lines of the services that are not healthy: Pulumi reports only that they are not ready.

    Raises `UserError` if there is such a service.
    """
    with closing(connect()) as runtime:
        unhealthy = [each for each in runtime.containers(prefix(options.stack)) if not each.is_as_expected]
        for container in unhealthy:
            print(f"{container.name} is {container.condition}; its last log lines:")
            _print(runtime, container, _LAST_LINES, follow=False)
    if unhealthy:
        raise UserError(
            "not-ready",
            f"not ready: {', '.join(each.name for each in unhealthy)}",
            rule="remove the cause first",
            remedy=f"make up STACK={short_name(options.stack)}",
        )


def _print(runtime: Runtime, container: Container, lines: int, follow: bool) -> None:
    rest = b""
    for chunk in runtime.logs(container, tail=lines, follow=follow):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            _write(container.role, line)
    if rest:
        _write(container.role, rest)


def _write(role: str, line: bytes) -> None:
    # One write for each line: several threads print at the same time.
    sys.stdout.write(f"{role:<9}{line.decode(errors='replace')}\n")
    sys.stdout.flush()

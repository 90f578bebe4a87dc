"""Prints progress, and defines the error that ends a run."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from contract.errors import UserError

PROGRESS_SECONDS = 15.0
_print_lock = threading.Lock()


class Failure(UserError):
    """A step failed: what was tried, the remedy, and the tool's output."""

    def __init__(self, code: str, tried: str, remedy: str, output: str = "") -> None:
        super().__init__(code, tried, remedy=remedy)
        self.output = output

    def __str__(self) -> str:
        printed = "".join(f"    | {line}\n" for line in self.output.strip().splitlines()[-12:])
        return f"toolchain: FAILED: [{self.code}] {self.seen}\n{printed}toolchain: to mend it: {self.remedy}"


def say(text: str) -> None:
    """Print one line to standard error, from any thread."""
    with _print_lock:
        print(f"toolchain: {text}", file=sys.stderr, flush=True)


@contextmanager
def step(what: str, detail: Callable[[], str] = str) -> Iterator[None]:
    """Print the begin of a step, a line every 15 seconds while it runs, and its duration.

    `detail` returns a text for these lines, such as how much is done.
    """
    started = time.monotonic()
    over = threading.Event()

    def print_progress() -> None:
        while not over.wait(PROGRESS_SECONDS):
            more = detail()
            say(f"{what} … {time.monotonic() - started:.0f} s so far" + (f", {more}" if more else ""))

    say(f"{what} …")
    printer = threading.Thread(target=print_progress, daemon=True)
    printer.start()
    try:
        yield
    finally:
        over.set()
        printer.join()
    say(f"{what} … {time.monotonic() - started:.0f} s")

"""What the user sees while something takes long, and the one error that ends a run."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from contract.errors import UserError

SIGN_OF_LIFE_SECONDS = 15.0
_speaking = threading.Lock()


class Failure(UserError):
    """A step that cannot be done: what was tried, what the user can do, and what the tool printed."""

    def __init__(self, code: str, tried: str, remedy: str, output: str = "") -> None:
        super().__init__(code, tried, remedy=remedy)
        self.output = output

    def __str__(self) -> str:
        printed = "".join(f"    | {line}\n" for line in self.output.strip().splitlines()[-12:])
        return f"toolchain: FAILED: [{self.code}] {self.seen}\n{printed}toolchain: to mend it: {self.remedy}"


def say(text: str) -> None:
    """Print one whole line, whichever thread it comes from. Standard output stays free for results."""
    with _speaking:
        print(f"toolchain: {text}", file=sys.stderr, flush=True)


@contextmanager
def step(what: str, detail: Callable[[], str] = str) -> Iterator[None]:
    """Announce a step, show a sign of life while it runs, and say in seconds how long it took.

    `detail` gives the sign of life something to add, such as how much is done.
    """
    started = time.monotonic()
    over = threading.Event()

    def show_life() -> None:
        while not over.wait(SIGN_OF_LIFE_SECONDS):
            more = detail()
            say(f"{what} … {time.monotonic() - started:.0f} s so far" + (f", {more}" if more else ""))

    say(f"{what} …")
    life = threading.Thread(target=show_life, daemon=True)
    life.start()
    try:
        yield
    finally:
        over.set()
        life.join()
    say(f"{what} … {time.monotonic() - started:.0f} s")

"""`python3 -m toolchain`: supply what this machine lacks.

With `engine`, only the Docker engine; with `browser`, what the tests look at pages with; with `vet`, look over our own
Go sources instead.
"""

from __future__ import annotations

import argparse
import importlib.util
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from toolchain import debian
from toolchain.browser import ensure_browser
from toolchain.cache import alone, cache_folder, remove_tree
from toolchain.engine import ensure_engine
from toolchain.images import ensure_images
from toolchain.processes import Stopped, stop_all, wait_for_package_managers
from toolchain.progress import Failure, say
from toolchain.pulumi import ensure_pulumi, vet

Lane = Callable[[], object]


class Interrupted(BaseException):
    """A signal asked us to stop."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the steps; returns the exit code: 0 done, 1 a step failed, 128 + n stopped by signal n."""
    parser = argparse.ArgumentParser(prog="python3 -m toolchain", description=__doc__)
    choices = ["all", "engine", "browser", "vet"]
    parser.add_argument("what", nargs="?", choices=choices, default="all", help="default: all")
    what = parser.parse_args(arguments).what
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    try:
        supply(cache_folder(), what)
    except Failure as failure:
        print(failure, file=sys.stderr, flush=True)
        return 1
    except Interrupted as interrupted:
        say("stopped; run it again and it goes on where it was")
        return 128 + interrupted.number
    return 0


def interrupt(number: int, _: FrameType | None) -> None:
    """Leave the main thread's waiting; a second signal must not break the clean-up."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    raise Interrupted(number)


def supply(cache: Path, what: str) -> None:
    """Supply what is missing, one run at a time. Raises Failure, Interrupted."""
    with alone(cache):
        for leftover in (cache / "tmp").glob("*"):
            remove_tree(leftover)
        if what == "engine":
            in_lanes([ensure_engine])
            return
        if what == "browser":
            in_lanes([ensure_browser])
            return
        if what == "vet":
            in_lanes([lambda: vet(cache)])
            return
        if importlib.util.find_spec("ensurepip") is None:
            debian.install(["python3-venv"], "Python's venv module")
        # One lane is bound by the processor, the other by the network.
        in_lanes([lambda: ensure_pulumi(cache), lambda: ensure_images(ensure_engine(), cache)])


def in_lanes(lanes: Sequence[Lane]) -> None:
    """Run the lanes side by side. The first error ends all of them and is raised."""
    errors: list[BaseException] = []
    news = threading.Condition()
    running = len(lanes)

    def drive(lane: Lane) -> None:
        nonlocal running
        error: BaseException | None = None
        try:
            lane()
        except BaseException as raised:
            error = raised
        with news:
            running -= 1
            if error is not None and not isinstance(error, Stopped):
                errors.append(error)
            news.notify()

    threads = [threading.Thread(target=drive, args=(lane,), daemon=True) for lane in lanes]
    try:
        for thread in threads:
            thread.start()
        with news:
            while running and not errors:
                news.wait()
    finally:
        if running:
            stop_all()
            for thread in threads:
                # Long enough for temporary folders to go; a lane that waits for the engine is left behind.
                thread.join(timeout=5)
            wait_for_package_managers()
    if errors:
        raise errors[0]


if __name__ == "__main__":
    sys.exit(main())

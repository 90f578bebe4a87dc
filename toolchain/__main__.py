"""`python3 -m toolchain`: install what this machine lacks.

`engine` installs only the Docker engine, `browser` the browser for the tests. `vet` runs `go vet` on our Go sources.
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
from toolchain.cache import cache_folder, exclusive_lock, remove_tree
from toolchain.engine import ensure_engine
from toolchain.images import ensure_images
from toolchain.processes import Stopped, stop_all, wait_for_package_managers
from toolchain.progress import Failure, say
from toolchain.pulumi import ensure_pulumi, vet

Job = Callable[[], object]


class Interrupted(BaseException):
    """A signal asked us to stop."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the steps. Returns the exit code: 0 for success, 1 if a step failed, 128 + n after signal n."""
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
        say("stopped; run it again to continue")
        return 128 + interrupted.number
    return 0


def interrupt(number: int, _: FrameType | None) -> None:
    """End the main thread's wait. Ignores further signals, which would interrupt the clean-up."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    raise Interrupted(number)


def supply(cache: Path, what: str) -> None:
    """Install what is missing, one run at a time. Raises Failure, Interrupted."""
    with exclusive_lock(cache):
        for leftover in (cache / "tmp").glob("*"):
            remove_tree(leftover)
        if what == "engine":
            run_in_parallel([ensure_engine])
            return
        if what == "browser":
            run_in_parallel([ensure_browser])
            return
        if what == "vet":
            run_in_parallel([lambda: vet(cache)])
            return
        if importlib.util.find_spec("ensurepip") is None:
            debian.install(["python3-venv"], "Python's venv module")
        # In parallel: one needs the CPU, the other the network.
        run_in_parallel([lambda: ensure_pulumi(cache), lambda: ensure_images(ensure_engine(), cache)])


def run_in_parallel(jobs: Sequence[Job]) -> None:
    """Run jobs in parallel. The first error ends all of them and is raised."""
    errors: list[BaseException] = []
    news = threading.Condition()
    running = len(jobs)

    def drive(job: Job) -> None:
        nonlocal running
        error: BaseException | None = None
        try:
            job()
        except BaseException as raised:
            error = raised
        with news:
            running -= 1
            if error is not None and not isinstance(error, Stopped):
                errors.append(error)
            news.notify()

    threads = [threading.Thread(target=drive, args=(job,), daemon=True) for job in jobs]
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
                # Time to delete temporary folders. A job that waits for the engine is abandoned.
                thread.join(timeout=5)
            wait_for_package_managers()
    if errors:
        raise errors[0]


if __name__ == "__main__":
    sys.exit(main())

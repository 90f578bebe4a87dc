"""`python -m bench`: measure MLflow on SQLite, as a tutorial starts it, and as this project does; print one report."""

from __future__ import annotations

import json
import signal
import sys
from typing import Any

import docker
from docker.errors import DockerException

from bench.compare import Found, compare
from bench.indexes import weigh_indexes
from bench.machine import describe
from bench.options import Options, parse
from bench.plot import draw
from bench.report import failures, markdown, tables
from bench.room import BenchError, Room, build_plain, say, stopped
from bench.show import show
from bench.verdict import verdict
from bench.wire import WrongAnswerError
from preflight.engine import EngineError, open_engine


def main(arguments: list[str]) -> int:
    """Run the benchmark; 0 whatever it finds, for it is a report. Errors are one line and exit code 1."""
    options = parse(arguments)
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, _stop)
    try:
        open_engine().close()
        # Building an image is one request.
        engine = docker.from_env(timeout=1_800)
        machine = describe(engine)
        options.output.mkdir(parents=True, exist_ok=True)
        images = {} if options.indexes else _images(engine)
        room = Room(engine, options.output)
        try:
            run(options, room, images, machine)
        finally:
            for each in (signal.SIGINT, signal.SIGTERM):
                signal.signal(each, signal.SIG_IGN)
            stopped.clear()
            say("taking everything away")
            room.remove()
    except (BenchError, EngineError, DockerException, OSError, WrongAnswerError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _stop(number: int, _: object) -> None:
    """Have every thread end, so that what was made can be taken away."""
    say(f"stopped by {signal.Signals(number).name}")
    stopped.set()
    raise KeyboardInterrupt


def _images(engine: docker.DockerClient) -> dict[str, str]:
    say("building the images of plain MLflow, as far as they are not there")
    return build_plain(engine)


def run(options: Options, room: Room, images: dict[str, str], machine: dict[str, Any]) -> None:
    """Measure, write results.json, report.md and plot.png, and print the tables."""
    if options.indexes:
        made = weigh_indexes(options, room)
        (options.output / "indexes.md").write_text(markdown(made, machine, []))
        show(made)
        return
    found = Found()

    def save() -> None:
        document = {
            "machine": machine,
            "options": {key: str(value) for key, value in vars(options).items()},
            "results": found.results.as_json(),
            "odd": found.odd,
            "rules": [vars(line) for line in verdict(found.results, found.odd)],
        }
        (options.output / "results.json").write_text(json.dumps(document, indent=1) + "\n")

    try:
        compare(options, room, images, found, save)
    finally:
        # Also of a run that was stopped: hours may be in it.
        save()
        report(options, found, machine)


def report(options: Options, found: Found, machine: dict[str, Any]) -> None:
    """Write report.md and plot.png, and print the tables; nothing if nothing was measured."""
    if not found.results.sizes():
        return
    made = tables(found.results, found.odd, verdict(found.results, found.odd))
    (options.output / "report.md").write_text(markdown(made, machine, [*found.notes, *failures(found.results)]))
    draw(found.results, machine, options.output / "plot.png")
    show(made)
    for failure in failures(found.results):
        print(failure)
    print(f"{options.output}/results.json, report.md, plot.png")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

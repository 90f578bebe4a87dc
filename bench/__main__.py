"""`python -m bench`: measure MLflow on SQLite, on a tutorial's PostgreSQL and in this project, and print a report."""

from __future__ import annotations

import json
import signal
import sys
from typing import Any

import docker
from docker.errors import DockerException

from bench.comparison import Findings, compare
from bench.connection import WrongAnswerError
from bench.console import show
from bench.environment import BenchError, Environment, build_plain_images, progress, stop_requested
from bench.indexes import measure_indexes
from bench.machine import describe
from bench.options import Options, parse
from bench.plot import draw
from bench.report import failures, markdown, tables
from bench.targets import check_targets
from preflight.engine import EngineError, open_engine


def main(arguments: list[str]) -> int:
    """Run the benchmark. Exit code 0 whatever the results are, 1 with a one-line message after an error."""
    options = parse(arguments)
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, _stop)
    try:
        open_engine().close()
        # The build of an image is a single request, so the timeout covers all of it.
        engine = docker.from_env(timeout=1_800)
        machine = describe(engine)
        options.output.mkdir(parents=True, exist_ok=True)
        images = {} if options.indexes else _images(engine)
        environment = Environment(engine, options.output)
        try:
            run(options, environment, images, machine)
        finally:
            for each in (signal.SIGINT, signal.SIGTERM):
                signal.signal(each, signal.SIG_IGN)
            stop_requested.clear()
            progress("removing all containers, networks and volumes")
            environment.remove()
    except (BenchError, EngineError, DockerException, OSError, WrongAnswerError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _stop(number: int, _: object) -> None:
    """End every thread, so that the benchmark can remove its containers."""
    progress(f"stopped by {signal.Signals(number).name}")
    stop_requested.set()
    raise KeyboardInterrupt


def _images(engine: docker.DockerClient) -> dict[str, str]:
    progress("building the images of plain MLflow, if they are missing")
    return build_plain_images(engine)


def run(options: Options, environment: Environment, images: dict[str, str], machine: dict[str, Any]) -> None:
    """Measure, write results.json, report.md and plot.png, and print the tables."""
    if options.indexes:
        made = measure_indexes(options, environment)
        (options.output / "indexes.md").write_text(markdown(made, machine, []))
        show(made)
        return
    findings = Findings()

    def save() -> None:
        document = {
            "machine": machine,
            "options": {key: str(value) for key, value in vars(options).items()},
            "results": findings.results.as_json(),
            "edge_cases": findings.edge_cases,
            "targets": [vars(line) for line in check_targets(findings.results, findings.edge_cases)],
        }
        (options.output / "results.json").write_text(json.dumps(document, indent=1) + "\n")

    try:
        compare(options, environment, images, findings, save)
    finally:
        # Saves a stopped run too: it may have taken hours.
        save()
        report(options, findings, machine)


def report(options: Options, findings: Findings, machine: dict[str, Any]) -> None:
    """Write report.md and plot.png, and print the tables. Does nothing without results."""
    if not findings.results.sizes():
        return
    made = tables(findings.results, findings.edge_cases, check_targets(findings.results, findings.edge_cases))
    (options.output / "report.md").write_text(markdown(made, machine, [*findings.notes, *failures(findings.results)]))
    draw(findings.results, machine, options.output / "plot.png")
    show(made)
    for failure in failures(findings.results):
        print(failure)
    print(f"{options.output}/results.json, report.md, plot.png")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

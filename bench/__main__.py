"""`python -m bench`: measure this project beside MLflow on SQLite, a tutorial's PostgreSQL and FastTrackML."""

from __future__ import annotations

import json
import sys
from typing import Any

from bench.command import in_environment
from bench.comparison import Findings, compare
from bench.console import show
from bench.environment import Environment, build_images, progress
from bench.indexes import measure_indexes
from bench.machine import describe
from bench.options import Options, parse
from bench.plot import draw
from bench.report import failures, markdown, tables
from bench.targets import check_targets


def main(arguments: list[str]) -> int:
    """Run the benchmark. Exit code 0 whatever the results are, 1 with a one-line message after an error."""
    options = parse(arguments)
    return in_environment(options.output, lambda environment: run(options, environment))


def run(options: Options, environment: Environment) -> int:
    """Measure, write results.json, report.md and plot.png, and print the tables."""
    machine = describe(environment.engine)
    if options.indexes:
        made = measure_indexes(options, environment)
        (options.output / "indexes.md").write_text(markdown(made, machine, []))
        show(made)
        return 0
    progress("building the images of the other systems, if they are missing")
    images = build_images(environment.engine)
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
    return 0


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

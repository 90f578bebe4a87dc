"""`python -m bench.soak`: trainers, readers and an agent use one stack for an hour. Errors, latencies and memory."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from bench.command import in_environment
from bench.console import show
from bench.environment import BenchError, Environment, progress, stop_requested
from bench.latencies import Latencies
from bench.logging_tasks import Client
from bench.machine import describe
from bench.memory import anonymous
from bench.product import Product
from bench.report import Table, format_value, markdown
from bench.soak_client import PARAMS, STEPS
from bench.span_data import SPANS
from bench.stores import Experiments, make_experiments
from bench.systems import System, start_product

ROLES = {"trainer": 8, "reader": 2, "agent": 1}
"""The clients. An agent sends traces."""
SETTLING = 10.0
"""Minutes before the slope of the memory counts. Caches and pools fill in them."""
STEEPEST = 10.0
"""MiB an hour by which the memory may grow."""
SHORTEST = 20.0
"""Minutes of readings that a slope needs. One reading differs from the next by more than the slope of a few minutes."""
_EVERY = 5.0
"""Seconds between two readings of memory and connections."""
_GRACE = 120.0
"""Seconds after the end in which each client must have answered."""

_CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE usename = '{role}'"
_BUDGET = "SELECT rolconnlimit FROM pg_roles WHERE rolname = '{role}'"
_ENDED = """
SELECT count(*) FROM runs r
WHERE r.run_uuid = ANY(%(runs)s) AND r.status = 'FINISHED'
  AND (SELECT count(*) FROM metrics m WHERE m.run_uuid = r.run_uuid) = %(steps)s
  AND (SELECT count(*) FROM params p WHERE p.run_uuid = r.run_uuid) = %(params)s
"""
_ALL_ENDED = "SELECT count(*) FROM runs WHERE experiment_id = %(experiment)s AND status = 'FINISHED'"
_TRACES = """
SELECT count(*) FROM trace_info t
WHERE t.experiment_id = %(experiment)s
  AND (SELECT count(*) FROM spans s WHERE s.trace_id = t.request_id) = %(spans)s
"""


@dataclass
class Sample:
    """One reading while the clients work."""

    minutes: float
    """Since their start."""
    server: float
    """Anonymous memory of the server in MiB."""
    postgres: float
    """That of PostgreSQL, without its shared buffers."""
    connections: int


@dataclass
class Outcome:
    """What a soak has seen."""

    minutes: float
    latencies: Latencies = field(default_factory=Latencies)
    error_count: int = 0
    errors: list[str] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    budget: int = 0
    """Connections that the server's role may hold."""
    acknowledged: int = 0
    """Runs whose end the server has acknowledged."""
    complete: int = 0
    """Of these, those that are in the database with all that they logged."""
    ended: int = 0
    """All ended runs in the database. A run that was written twice would be one too many."""
    traces: int = 0
    complete_traces: int = 0


@dataclass(frozen=True)
class Check:
    rule: str
    seen: str
    held: bool | None
    """None if the soak was too short to tell."""


def main(arguments: Sequence[str]) -> int:
    """Exit code 0 if every check holds, 1 if one does not or after an error."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, help="how long the clients work (default 60)")
    parser.add_argument("--output", type=Path, default=Path("build/bench"), help="folder for the results")
    given = parser.parse_args(arguments)
    if given.minutes <= 0:
        parser.error(f"--minutes {given.minutes:g}: must be above 0. Mend it with: --minutes 60")
    return in_environment(given.output, lambda environment: soak(environment, given.minutes, given.output))


def soak(environment: Environment, minutes: float, output: Path) -> int:
    """Start a stack, let the clients work on it, and report. Writes soak.md and soak.json."""
    progress("starting a stack")
    system = start_product(Product(environment))
    system.wait()
    system.warm_up()
    experiments = make_experiments(system)
    outcome = observe(system, experiments, minutes)
    checks = check(outcome)
    made = [routes_table(outcome), memory_table(outcome), checks_table(checks)]
    machine = describe(environment.engine) | {"command": f"python -m bench.soak --minutes {minutes:g}"}
    (output / "soak.md").write_text(markdown(made, machine, outcome.errors))
    document = {
        "machine": machine,
        "checks": [vars(each) for each in checks],
        "samples": [vars(each) for each in outcome.samples],
        "errors": outcome.errors,
    }
    (output / "soak.json").write_text(json.dumps(document, indent=1) + "\n")
    show(made)
    for error in outcome.errors:
        print(error)
    return 1 if any(each.held is False for each in checks) else 0


def observe(system: System, experiments: Experiments, minutes: float) -> Outcome:
    """Let all clients work for some minutes, read memory and connections meanwhile, and count at the end."""
    outcome = Outcome(minutes)
    role = psycopg.conninfo.conninfo_to_dict(system.conninfo)["user"]
    outcome.budget = int(system.psql(_BUDGET.format(role=role)))
    clients = [(name, Client("bench.soak_client")) for name, count in ROLES.items() for _ in range(count)]
    try:
        for _, client in clients:
            client.receive(time.monotonic() + _GRACE)
        progress(f"{len(clients)} clients for {minutes:g} minutes")
        began = time.monotonic()
        for name, client in clients:
            client.send(
                {
                    "role": name,
                    "url": system.url,
                    "experiment": experiments.logged,
                    "traces": experiments.traces,
                    "seconds": minutes * 60,
                }
            )
        while (passed := time.monotonic() - began) < minutes * 60:
            outcome.samples.append(_sample(system, str(role), passed / 60))
            if stop_requested.wait(_EVERY):
                raise BenchError("stopped during the soak")
        answers = [client.receive(began + minutes * 60 + _GRACE) for _, client in clients]
    finally:
        for _, client in clients:
            client.stop()
    _collect(outcome, answers)
    _count(outcome, system, experiments, [run for answer in answers for run in answer["runs"]])
    return outcome


def _sample(system: System, role: str, minutes: float) -> Sample:
    assert system.postgres
    return Sample(
        minutes,
        anonymous(system.server) / (1 << 20),
        anonymous(system.postgres) / (1 << 20),
        int(system.psql(_CONNECTIONS.format(role=role))),
    )


def _collect(outcome: Outcome, answers: Iterable[Mapping[str, Any]]) -> None:
    for answer in answers:
        outcome.latencies.merge(answer["latencies"])
        outcome.error_count += answer["error_count"]
        outcome.errors += answer["errors"]
        outcome.acknowledged += len(answer["runs"])
        outcome.traces += answer["traces"]


def _count(outcome: Outcome, system: System, experiments: Experiments, runs: list[str]) -> None:
    """Count what the database holds of it."""
    progress("counting the runs and traces in the database")

    def count(statement: str, **values: Any) -> int:
        row = connection.execute(statement, values).fetchone()
        return int(row[0]) if row else 0

    with psycopg.connect(system.conninfo) as connection:
        outcome.complete = count(_ENDED, runs=runs, steps=STEPS, params=PARAMS)
        outcome.ended = count(_ALL_ENDED, experiment=int(experiments.logged))
        outcome.complete_traces = count(_TRACES, experiment=int(experiments.traces), spans=SPANS)


def check(outcome: Outcome) -> list[Check]:
    """The rules that a soak must keep."""
    most = max((sample.connections for sample in outcome.samples), default=0)
    calls = sum(map(outcome.latencies.calls, outcome.latencies.routes()))
    return [
        Check("no errors", f"{outcome.error_count} in {calls:,} calls", outcome.error_count == 0),
        Check(
            "every acknowledged run is in the database, with all that it logged",
            f"{outcome.complete:,} of {outcome.acknowledged:,}",
            outcome.complete == outcome.acknowledged > 0,
        ),
        # A run whose end was written and not acknowledged is an error of its own.
        Check(
            "no run more than that",
            f"{outcome.ended:,} ended runs",
            outcome.ended <= outcome.acknowledged + outcome.error_count,
        ),
        Check(
            "every acknowledged trace is in the database, with all its spans",
            f"{outcome.complete_traces:,} of {outcome.traces:,}",
            outcome.complete_traces >= outcome.traces > 0,
        ),
        Check(
            "connections within the budget of the server's role",
            f"at most {most} of {outcome.budget}",
            0 < most <= outcome.budget,
        ),
        _slope(outcome, "the server", [sample.server for sample in outcome.samples]),
        _slope(outcome, "PostgreSQL", [sample.postgres for sample in outcome.samples]),
    ]


def _slope(outcome: Outcome, name: str, memory: list[float]) -> Check:
    rule = f"memory of {name} grows by less than {STEEPEST:g} MiB an hour after the first {SETTLING:g} minutes"
    slope = mib_an_hour([sample.minutes for sample in outcome.samples], memory)
    if slope is None:
        return Check(rule, f"not measured: {outcome.minutes:g} minutes are too short", None)
    return Check(rule, f"{slope:+.1f} MiB an hour", slope < STEEPEST)


def mib_an_hour(minutes: Sequence[float], memory: Sequence[float]) -> float | None:
    """The slope of the line through the readings after the settling time. None if they are over a time too short."""
    late = [(when, much) for when, much in zip(minutes, memory, strict=True) if when >= SETTLING]
    if not late or late[-1][0] - late[0][0] < SHORTEST:
        return None
    return statistics.linear_regression(*zip(*late, strict=True)).slope * 60


def routes_table(outcome: Outcome) -> Table:
    rows = [
        [route, f"{outcome.latencies.calls(route):,}"]
        + [format_value(each, "s") for each in outcome.latencies.quantiles(route, (0.5, 0.95, 0.99))]
        for route in outcome.latencies.routes()
    ]
    return Table(f"calls in {outcome.minutes:g} minutes", ["route", "calls", "p50", "p95", "p99"], rows)


def memory_table(outcome: Outcome) -> Table:
    """Memory and connections at the first reading, at the end of the settling time, and at the last one."""
    after = [sample for sample in outcome.samples if sample.minutes >= SETTLING]
    chosen = [*outcome.samples[:1], *after[:1], *outcome.samples[-1:]]
    rows = [
        [f"{each.minutes:.1f}", f"{each.server:.0f}", f"{each.postgres:.0f}", str(each.connections)] for each in chosen
    ]
    return Table("memory and connections", ["minute", "server, MiB", "PostgreSQL, MiB", "connections"], rows)


def checks_table(checks: Sequence[Check]) -> Table:
    words = {True: "held", False: "**not held**", None: "not measured"}
    return Table("checks", ["rule", "seen", ""], [[each.rule, each.seen, words[each.held]] for each in checks])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The command: checks the engine, then the stack's outputs, then everything else at the same time."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from contract.errors import UserError
from preflight.engine import EngineError

from ..runtime import Connect
from ..stack import outputs, short_name
from . import (
    application,
    certificate,
    collation,
    connections,
    database,
    disk,
    dumps,
    libraries,
    report,
    schema,
    services,
    test_run,
    uploads,
    wal,
)
from .check import Check, Finding, State, Verdict, broken, from_error, ok, run_all
from .subject import subject_of

CHECKS = (
    Check("containers", services.check),
    Check("database", database.check),
    Check("schema", schema.revisions, needs=("database",)),
    Check("indexes", schema.indexes, needs=("database",)),
    Check("collation", collation.check, needs=("database",)),
    Check("disk", disk.check),
    Check("uploads", uploads.check),
    Check("connections", connections.check, needs=("database",)),
    Check("wal", wal.check, needs=("database",)),
    Check("dumps", dumps.check),
    Check("certificate", certificate.check),
    Check("libraries", libraries.check),
    Check("application", application.check, needs=("schema",)),
    Check("test run", test_run.check, needs=("database",)),
)


def run(options: argparse.Namespace, connect: Connect) -> int:
    """Print every finding. The exit code is that of the worst."""
    findings = examine(options.stack, connect)
    print(report.as_json(findings) if options.json else report.as_lines(findings, colour=sys.stdout.isatty()))
    return report.exit_code(findings)


def examine(stack: str, connect: Connect) -> list[Finding]:
    """Run every check. Without an engine all checks are skipped."""
    try:
        with closing(connect()) as runtime:
            version = runtime.version()
            values, verdict = _outputs(stack)
            subject = subject_of(runtime, stack, values)
            first = [Finding("engine", ok(f"{version} answers")), Finding("stack", verdict)]
            return [*first, *run_all(CHECKS, subject)]
    except EngineError as error:
        rest = Verdict(State.SKIPPED, "not tried: see engine")
        names = ["stack", *(check.name for check in CHECKS)]
        return [Finding("engine", from_error(error)), *(Finding(name, rest) for name in names)]


def _outputs(stack: str) -> tuple[Mapping[str, Any], Verdict]:
    """The stack's outputs, and the verdict on them."""
    try:
        values = outputs(stack)
    except UserError as error:
        return {}, broken(from_error(error).seen, error.remedy or f"make up STACK={short_name(stack)}")
    return values, ok(f"MLflow {values['mlflow_version']} at {values['tracking_url']}")

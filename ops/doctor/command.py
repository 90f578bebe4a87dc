"""The command: the engine first, then the stack's outputs, then every check at once."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from docker.errors import DockerException
from requests import RequestException

from contract.errors import UserError
from preflight.engine import EngineError, open_engine

from ..stack import outputs, short_name
from . import (
    certificate,
    collation,
    connections,
    database,
    disk,
    dumps,
    front_door,
    libraries,
    replication,
    report,
    schema,
    services,
    uploads,
    versions,
)
from .check import Check, Finding, State, Verdict, broken, carry_out, from_error, ok
from .subject import subject_of

CHECKS = (
    Check("containers", services.look),
    Check("database", database.look),
    Check("schema", schema.revisions, needs=("database",)),
    Check("indexes", schema.indexes, needs=("database",)),
    Check("collation", collation.look, needs=("database",)),
    Check("disk", disk.look),
    Check("uploads", uploads.look),
    Check("connections", connections.look, needs=("database",)),
    Check("replication", replication.look, needs=("database",)),
    Check("dumps", dumps.look),
    Check("certificate", certificate.look),
    Check("libraries", libraries.look),
    Check("versions", versions.look, needs=("database",)),
    Check("test run", front_door.look, needs=("database",)),
)


def run(options: argparse.Namespace) -> int:
    """Print how the stack is; the exit code says how bad the worst of it is."""
    findings = examine(options.stack)
    print(report.as_json(findings) if options.json else report.as_lines(findings, colour=sys.stdout.isatty()))
    return report.exit_code(findings)


def examine(stack: str) -> list[Finding]:
    """Every check's finding. Without an engine there is nothing to look at, and the others say so."""
    try:
        engine = open_engine()
    except EngineError as error:
        return _no_engine(error)
    try:
        version = engine.version()["Version"]
        values, told = _outputs(stack)
        subject = subject_of(engine, stack, values)
    except (DockerException, RequestException) as error:
        return _no_engine(error)
    else:
        answers = ok(f"Docker {version} answers")
        return [Finding("engine", answers), Finding("stack", told), *carry_out(CHECKS, subject)]
    finally:
        engine.close()


def _no_engine(error: Exception) -> list[Finding]:
    rest = Verdict(State.SKIPPED, "not tried: see engine")
    names = ["stack", *(check.name for check in CHECKS)]
    return [Finding("engine", from_error(error)), *(Finding(name, rest) for name in names)]


def _outputs(stack: str) -> tuple[Mapping[str, Any], Verdict]:
    """The stack's outputs, and what to say of them."""
    try:
        values = outputs(stack)
    except UserError as error:
        said = from_error(error)
        return {}, broken(said.seen, said.mend or f"make up STACK={short_name(stack)}")
    return values, ok(f"MLflow {values['mlflow_version']} at {values['tracking_url']}")

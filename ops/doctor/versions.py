"""Whether what runs has a known fault that a newer version is without. `fixes.json` is a list of a few, not of all."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..stack import short_name
from .check import Verdict, ok, warning
from .subject import Subject

FIXES = Path(__file__).with_name("fixes.json")

Version = tuple[int, ...]


def look(subject: Subject, fixes: Path = FIXES) -> Verdict:
    """No version that runs is older than a fix that is known here."""
    running = {
        "PostgreSQL": subject.ask("SHOW server_version").split()[0],
        "MLflow": subject.output("mlflow_version"),
        "Docker": str(subject.engine.version()["Version"]),
    }
    due = [(fix, needed) for fix in _read(fixes) if (needed := fixed_in(fix, running[fix["component"]]))]
    if not due:
        return ok(", ".join(f"{component} {version}" for component, version in running.items()))
    seen = "; ".join(
        f"{fix['component']} {running[fix['component']]}: {fix['why']}, fixed in {needed} ({fix['link']})"
        for fix, needed in due
    )
    component, needed = due[0][0]["component"], due[0][1]
    return warning(seen, _mend(subject, component, running[component], needed))


def fixed_in(fix: Mapping[str, Any], version: str) -> str | None:
    """The version that a faulty one is to be replaced by; None when it is not faulty.

    A fault is mended in one version of each series, which is its first number. A series without one is older than all
    of them, or newer.
    """
    ours = parse(version)
    if ours < parse(fix.get("since", "0")):
        return None
    of_series = [each for each in fix["fixed_in"] if parse(each)[0] == ours[0]]
    needed: str = (of_series or sorted(fix["fixed_in"], key=parse))[0]
    return needed if ours < parse(needed) else None


def _mend(subject: Subject, component: str, version: str, needed: str) -> str:
    stack = short_name(subject.stack)
    if component == "Docker":
        return f"a Docker engine of {needed} or newer"
    if component == "MLflow":
        return (
            f"bin/pulumi config set mlflowVersion, and a version from {needed} on that images/mlflow/locks has, "
            f"--stack {stack}, then {subject.make_up}"
        )
    if parse(version)[0] != parse(needed)[0]:
        return "what docs/production.md says of another major of PostgreSQL"
    return f"bin/pulumi config set postgresVersion {needed} --stack {stack}, then {subject.make_up}"


def parse(version: str) -> Version:
    """The numbers of a version, for comparing; what a distribution adds to them does not count."""
    found = re.match(r"\d+(\.\d+)*", version)
    if not found:
        raise ValueError(f"{version!r} is no version: it must begin with a number")
    return tuple(int(number) for number in found[0].split("."))


def _read(fixes: Path) -> Sequence[Mapping[str, Any]]:
    known: list[dict[str, Any]] = json.loads(fixes.read_text())
    return known

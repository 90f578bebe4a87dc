"""Formats findings: lines for people, JSON for programs, and an exit code for both."""

from __future__ import annotations

import json
from collections.abc import Sequence

from contract.errors import REMEDY

from .check import Finding, State, worst_of

COLOURS = {State.OK: "32", State.SKIPPED: "2", State.WARNING: "33", State.BROKEN: "31"}
"""Codes of a terminal: green, faint, yellow, red."""


def worst(findings: Sequence[Finding]) -> State:
    """The worst state. Skipped checks do not count: their cause is another finding."""
    state = worst_of([finding.verdict for finding in findings]).state
    return State.OK if state is State.SKIPPED else state


def exit_code(findings: Sequence[Finding]) -> int:
    """0 without problems, 1 with a warning, 2 if something is broken."""
    return {State.OK: 0, State.WARNING: 1, State.BROKEN: 2}[worst(findings)]


def as_lines(findings: Sequence[Finding], *, colour: bool) -> str:
    """One line for each finding."""
    width = max(len(finding.name) for finding in findings)
    return "\n".join(_line(finding, width, colour) for finding in findings)


def as_json(findings: Sequence[Finding]) -> str:
    """Everything, for a program."""
    checks = [
        {
            "name": finding.name,
            "state": finding.verdict.state,
            "seen": finding.verdict.seen,
            "mend": finding.verdict.remedy,
        }
        for finding in findings
    ]
    return json.dumps({"worst": worst(findings), "checks": checks}, indent=2)


def _line(finding: Finding, width: int, colour: bool) -> str:
    verdict = finding.verdict
    state = f"{verdict.state:<7}"
    if colour:
        state = f"\033[{COLOURS[verdict.state]}m{state}\033[0m"
    remedy = f"{REMEDY}{verdict.remedy}" if verdict.remedy else ""
    return f"{state}  {finding.name:<{width}}  {verdict.seen}{remedy}"

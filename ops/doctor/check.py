"""Checks, their verdicts, and the code that runs all checks of a stack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum

from contract.errors import UserError

from .subject import NotTried, Subject


class State(StrEnum):
    """From good to bad."""

    OK = "ok"
    SKIPPED = "skipped"
    """Not tried, because another check reports the cause."""
    WARNING = "warning"
    BROKEN = "broken"


@dataclass(frozen=True)
class Verdict:
    """A state, what was seen, and the command that corrects it."""

    state: State
    seen: str
    remedy: str = ""


@dataclass(frozen=True)
class Finding:
    """A check's name and its verdict."""

    name: str
    verdict: Verdict


@dataclass(frozen=True)
class Check:
    """One question about a stack."""

    name: str
    run: Callable[[Subject], Verdict]
    """May raise `NotTried`. With any other error the check is broken."""
    needs: tuple[str, ...] = ()
    """Names of checks before it in the list. If one of them is broken, this one is not tried."""


def ok(seen: str) -> Verdict:
    return Verdict(State.OK, seen)


def warning(seen: str, remedy: str) -> Verdict:
    return Verdict(State.WARNING, seen, remedy)


def broken(seen: str, remedy: str) -> Verdict:
    return Verdict(State.BROKEN, seen, remedy)


def from_error(error: Exception) -> Verdict:
    """The verdict of an error. Only its first line: PostgreSQL prints rows of the database after it."""
    message = error.problem if isinstance(error, UserError) else str(error)
    lines = message.strip().splitlines()
    return broken(lines[0] if lines else type(error).__name__, error.remedy if isinstance(error, UserError) else "")


def worst_of(verdicts: Sequence[Verdict]) -> Verdict:
    """The worst of several verdicts. Joins the equally bad ones, with the first remedy."""
    state = max((each.state for each in verdicts), key=list(State).index)
    those = [each for each in verdicts if each.state is state]
    return Verdict(state, "; ".join(each.seen for each in those), those[0].remedy)


def run_all(checks: Sequence[Check], subject: Subject) -> list[Finding]:
    """Every check's finding, in order. Checks run at the same time, after those that they need."""
    found: dict[str, Future[Verdict]] = {}
    with ThreadPoolExecutor(max_workers=len(checks)) as pool:
        for check in checks:
            needs = {name: found[name] for name in check.needs}
            found[check.name] = pool.submit(_run, check, subject, needs)
    return [Finding(name, verdict.result()) for name, verdict in found.items()]


def _run(check: Check, subject: Subject, needs: dict[str, Future[Verdict]]) -> Verdict:
    for name, verdict in needs.items():
        if verdict.result().state in (State.BROKEN, State.SKIPPED):
            return Verdict(State.SKIPPED, f"not tried: see {name}")
    try:
        return check.run(subject)
    except NotTried as reason:
        return Verdict(State.SKIPPED, f"not tried: {reason}")
    except Exception as error:
        return from_error(error)

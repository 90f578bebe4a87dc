"""What a check finds, and how the checks of a stack are carried out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum

from contract.errors import UserError

from .subject import NotTried, Subject


class State(StrEnum):
    """How something is, from good to bad."""

    OK = "ok"
    SKIPPED = "skipped"
    """Not tried, because of something that another check reports."""
    WARNING = "warning"
    BROKEN = "broken"


@dataclass(frozen=True)
class Verdict:
    """How something is, what was seen, and the command that mends it."""

    state: State
    seen: str
    mend: str = ""


@dataclass(frozen=True)
class Finding:
    """A check's name and its verdict."""

    name: str
    verdict: Verdict


@dataclass(frozen=True)
class Check:
    """One question about a stack."""

    name: str
    look: Callable[[Subject], Verdict]
    """May raise `NotTried`; any other error means that the check is broken."""
    needs: tuple[str, ...] = ()
    """Names of checks that come before it in the list: with one of them broken, this one is not tried."""


def ok(seen: str) -> Verdict:
    return Verdict(State.OK, seen)


def warning(seen: str, mend: str) -> Verdict:
    return Verdict(State.WARNING, seen, mend)


def broken(seen: str, mend: str) -> Verdict:
    return Verdict(State.BROKEN, seen, mend)


def from_error(error: Exception) -> Verdict:
    """What an error says. Only its first line: PostgreSQL puts rows of the database after it."""
    said = error.problem if isinstance(error, UserError) else str(error)
    lines = said.strip().splitlines()
    return broken(lines[0] if lines else type(error).__name__, error.remedy if isinstance(error, UserError) else "")


def together(verdicts: Sequence[Verdict]) -> Verdict:
    """The worst of several, with all that is as bad, and the first remedy for it."""
    state = max((each.state for each in verdicts), key=list(State).index)
    those = [each for each in verdicts if each.state is state]
    return Verdict(state, "; ".join(each.seen for each in those), those[0].mend)


def carry_out(checks: Sequence[Check], subject: Subject) -> list[Finding]:
    """Every check's finding, in their order. They run at the same time, but for what they need."""
    found: dict[str, Future[Verdict]] = {}
    with ThreadPoolExecutor(max_workers=len(checks)) as pool:
        for check in checks:
            needs = {name: found[name] for name in check.needs}
            found[check.name] = pool.submit(_look, check, subject, needs)
    return [Finding(name, verdict.result()) for name, verdict in found.items()]


def _look(check: Check, subject: Subject, needs: dict[str, Future[Verdict]]) -> Verdict:
    for name, verdict in needs.items():
        if verdict.result().state in (State.BROKEN, State.SKIPPED):
            return Verdict(State.SKIPPED, f"not tried: see {name}")
    try:
        return check.look(subject)
    except NotTried as reason:
        return Verdict(State.SKIPPED, f"not tried: {reason}")
    except Exception as error:
        return from_error(error)

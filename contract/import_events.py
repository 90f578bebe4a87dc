"""The events of an import. `import-runs` of MLflow's image prints one JSON object a line; `ops import` shows them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, get_args

Phase = Literal["read", "examine", "write", "check"]


@dataclass(frozen=True, kw_only=True)
class Note:
    """A sentence for the user."""

    note: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What will be imported."""

    plan: Mapping[str, int]
    """Rows by table."""
    clashes: Sequence[str]
    """Names that exist in both stores."""
    clash: str
    """What to do about them: refuse, skip or rename."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The progress of a phase with one table."""

    phase: Phase
    table: str
    """`artifacts` counts files."""
    rows: int
    of: int
    """The number of all rows; 0 while it is unknown."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A table that was written and read back."""

    table: str
    rows: int
    checksum: str
    rows_found: int
    checksum_found: str
    same: bool


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A comparison has been made."""

    compared: Comparison


@dataclass(frozen=True, kw_only=True)
class Committing:
    """COMMIT is sent next. If no event follows, the outcome is unknown."""

    committing: Literal[True] = True


@dataclass(frozen=True, kw_only=True)
class Committed:
    """COMMIT has succeeded."""

    committed: Literal[True] = True


@dataclass(frozen=True, kw_only=True)
class Done:
    """The import has ended."""

    done: int
    """Rows."""
    file: str
    """The file of the comparison."""


@dataclass(frozen=True, kw_only=True)
class Error:
    """The import was refused, or has failed."""

    code: str
    problem: str
    remedy: str


Event = Note | Plan | Progress | Compared | Committing | Committed | Done | Error


def dump(event: Event) -> str:
    """One line."""
    return json.dumps(asdict(event))


def parse(line: str) -> Event:
    """The event of a line. Any other line, such as one printed by a library, becomes a note."""
    try:
        return _event(json.loads(line))
    except (ValueError, KeyError, TypeError, AttributeError):
        return Note(note=line)


def _event(found: dict[str, object]) -> Event:
    match found:
        case {"note": str(note)}:
            return Note(note=note)
        case {"plan": dict(plan), "clashes": list(clashes), "clash": str(clash)}:
            return Plan(plan=plan, clashes=clashes, clash=clash)
        case {"phase": phase, "table": str(table), "rows": int(rows), "of": int(of)}:
            return Progress(phase=_phase(phase), table=table, rows=rows, of=of)
        case {"compared": dict(compared)}:
            return Compared(compared=Comparison(**compared))
        case {"committing": True}:
            return Committing()
        case {"committed": True}:
            return Committed()
        case {"done": int(done), "file": str(file)}:
            return Done(done=done, file=file)
        case {"code": str(code), "problem": str(problem), "remedy": str(remedy)}:
            return Error(code=code, problem=problem, remedy=remedy)
    raise ValueError("not an event of an import")


def _phase(found: object) -> Phase:
    for phase in get_args(Phase):
        if found == phase:
            known: Phase = phase
            return known
    raise ValueError(f"not a phase of an import: {found!r}")

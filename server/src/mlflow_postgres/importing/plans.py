"""Decides how experiments and registered models are imported. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from enum import Enum

from ..errors import Refused

DEFAULT = 0
"""The id of the default experiment, which every server creates."""

# PostgreSQL's column has 32 bits. The ids of a folder store have 18 digits and do not fit. An id near the limit would
# leave no room for new experiments.
LARGEST_KEPT = 1_000_000_000
LARGEST = 2**31 - 1
_NAME_LENGTH = 256


class Clash(Enum):
    """What to do if a name exists in both stores."""

    REFUSE = "refuse"
    SKIP = "skip"
    RENAME = "rename"


@dataclass(frozen=True, kw_only=True)
class Experiment:
    id: int
    workspace: str
    name: str


Model = tuple[str, str]
"""A registered model's workspace and name."""

Role = tuple[str, str]
"""A role's workspace and name."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The plan of an import."""

    keep_ids: bool
    """Whether experiments keep their ids if these fit: the database has no others."""
    replaces_default: bool
    """Whether the old default experiment replaces the one of this server, which is empty."""
    empty_default: bool
    """Whether the old default experiment is not imported, because it is empty."""
    experiments: tuple[Experiment, ...]
    """Imported experiments whose names exist already."""
    models: tuple[Model, ...]
    """Imported models whose names exist already."""
    others: tuple[str, ...] = ()
    """Other existing names, in words."""

    @property
    def clashes(self) -> list[str]:
        """All existing names, in words."""
        return [
            *(f"experiment {each.name!r}" for each in self.experiments),
            *(f"model {name!r}" for _, name in self.models),
            *self.others,
        ]


def make_plan(
    theirs: Sequence[Experiment],
    ours: Sequence[Experiment],
    their_models: Iterable[Model],
    our_models: Iterable[Model],
    *,
    our_default_is_empty: bool,
    their_default_is_empty: bool,
) -> Plan:
    """The plan for the experiments and models of both stores."""
    first = next((each for each in theirs if each.id == DEFAULT), None)
    mine = next((each for each in ours if each.id == DEFAULT), None)
    others = [each for each in ours if each.id != DEFAULT]
    same = first is not None and mine is not None and (first.workspace, first.name) == (mine.workspace, mine.name)
    empty = same and their_default_is_empty
    takes_over = mine is not None and first is not None and our_default_is_empty and (same or not others) and not empty
    taken = {(each.workspace, each.name) for each in ours}
    coming = [each for each in theirs if not (each.id == DEFAULT and (empty or takes_over))]
    known = set(our_models)
    return Plan(
        keep_ids=not others and (mine is None or our_default_is_empty),
        replaces_default=takes_over,
        empty_default=empty,
        experiments=tuple(each for each in coming if (each.workspace, each.name) in taken),
        models=tuple(each for each in their_models if each in known),
    )


def refuse_clashes(plan: Plan) -> None:
    """Raise `Refused` if names exist in both stores."""
    if clashes := plan.clashes:
        shown = ", ".join(clashes[:5]) + (f" and {len(clashes) - 5} more" if len(clashes) > 5 else "")
        raise Refused(
            "name-taken",
            f"{shown}: the name exists already",
            remedy='IMPORT="--clash rename", which imports them under other names, or IMPORT="--clash skip", which '
            "does not import them",
        )


def renamed(name: str, taken: Set[str]) -> str:
    """A free name like `name (imported)`. Raises `Refused` if it would be too long."""
    number = 1
    while True:
        new = f"{name} (imported{f' {number}' if number > 1 else ''})"
        if len(new) > _NAME_LENGTH:
            raise Refused(
                "name-too-long",
                f"the name {name[:60]!r}… exists already, and is too long for ' (imported)'",
                remedy="a shorter name for it in MLflow",
            )
        if new not in taken:
            return new
        number += 1


def can_keep_id(number: int) -> bool:
    """Whether an experiment may keep its id."""
    return DEFAULT < number <= LARGEST_KEPT

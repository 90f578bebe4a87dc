"""What becomes of every experiment and every registered model. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from enum import Enum

from ..migration.job import Refused

DEFAULT = 0
"""Id of the experiment that every server makes, and that runs without an experiment belong to."""

# PostgreSQL numbers experiments in 32 bits: a folder's numbers of 18 digits do not fit, and one near the end would
# leave no room for those to come.
LARGEST_KEPT = 1_000_000_000
LARGEST = 2**31 - 1
_NAME_LENGTH = 256


class Clash(Enum):
    """What is done when a name is taken."""

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
"""The workspace and the name of a role that users have."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be done."""

    keep_ids: bool
    """Whether experiments keep their ids as far as they fit: nobody else has any."""
    takes_over_default: bool
    """Whether the other store's first experiment becomes this one's, in which there is nothing."""
    empty_default: bool
    """Whether the other store's first experiment is left behind, because there is nothing in it."""
    experiments: tuple[Experiment, ...]
    """Those whose names are taken."""
    models: tuple[Model, ...]
    """The same of models."""
    others: tuple[str, ...] = ()
    """Other names that are taken, in words."""

    @property
    def clashes(self) -> list[str]:
        """Every name that is taken, in words."""
        return [
            *(f"experiment {each.name!r}" for each in self.experiments),
            *(f"model {name!r}" for _, name in self.models),
            *self.others,
        ]


def planned(
    theirs: Sequence[Experiment],
    ours: Sequence[Experiment],
    their_models: Iterable[Model],
    our_models: Iterable[Model],
    *,
    our_default_is_empty: bool,
    their_default_is_empty: bool,
) -> Plan:
    """What follows from what both sides have."""
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
        takes_over_default=takes_over,
        empty_default=empty,
        experiments=tuple(each for each in coming if (each.workspace, each.name) in taken),
        models=tuple(each for each in their_models if each in known),
    )


def refuse_clashes(plan: Plan) -> None:
    """Raise `Refused`, naming what is there on both sides."""
    if clashes := plan.clashes:
        shown = ", ".join(clashes[:5]) + (f" and {len(clashes) - 5} more" if len(clashes) > 5 else "")
        raise Refused(
            f"{shown}: there already, and two may not have one name; nothing was changed. "
            'Mend it with IMPORT="--clash rename", which brings them under other names, or IMPORT="--clash skip", '
            "which leaves them behind"
        )


def renamed(name: str, taken: Set[str]) -> str:
    """Another name for what comes along. Raises `Refused` when it would be too long."""
    number = 1
    while True:
        new = f"{name} (imported{f' {number}' if number > 1 else ''})"
        if len(new) > _NAME_LENGTH:
            raise Refused(
                f"the name {name[:60]!r}… is there already, and has no room for ' (imported)'; nothing was changed. "
                "Mend it by renaming it in MLflow"
            )
        if new not in taken:
            return new
        number += 1


def fits(number: int) -> bool:
    """Whether an experiment may keep its id."""
    return DEFAULT < number <= LARGEST_KEPT

"""Translates the values of the old store to this server: ids of experiments, serial numbers, addresses. No I/O."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..errors import Refused
from . import permissions, users
from .addresses import Addresses, experiments_in_list, experiments_in_span
from .links import ASSOCIATIONS, ENDS, EXPERIMENT_TYPE
from .plans import DEFAULT
from .tables import EXPERIMENT, Cell, Table
from .values import Row

ADDRESSES = frozenset({"artifact_location", "artifact_uri", "source", "storage_location"})
"""Columns that may contain artifact addresses."""

ARTIFACT_TAG = "mlflow.artifactLocation"
"""The tag with the artifact address of a trace."""

EXPERIMENTS_TAG = "_mlflow_experiment_ids"
"""The tag with the ids of the experiments that a prompt belongs to."""


@dataclass(frozen=True, kw_only=True)
class Changes:
    """The new values for those of the old store."""

    experiments: Mapping[int, int]
    """New ids of the imported experiments, by old ids."""
    numbers: Mapping[Cell, int] = field(default_factory=dict)
    """The amounts to add to serial numbers, by column."""
    addresses: Addresses = field(default_factory=Addresses)
    default: Mapping[str, object] | None = None
    """The values that this server's default experiment keeps, by column, if the old one replaces it."""

    @property
    def replaces_default(self) -> bool:
        """Whether the old default experiment replaces the values of the existing one."""
        return self.default is not None

    @property
    def renumbered(self) -> bool:
        return any(old != new for old, new in self.experiments.items())


def change_rows(table: Table, changes: Changes) -> Callable[[Row], None] | None:
    """A function that changes a row in place; None if no row of the table changes."""
    steps = [
        step
        for steps_of in (_columns, _default, _associations, _tags, _spans, _users)
        for step in steps_of(table, changes)
    ]
    if not steps:
        return None

    def change(row: Row) -> None:
        for step in steps:
            step(row)

    return change


Step = Callable[[Row], None]


def _columns(table: Table, changes: Changes) -> list[Step]:
    steps: list[Step] = []
    for index, column in enumerate(table.columns):
        if column.root == EXPERIMENT:
            if changes.renumbered:
                steps.append(_change_column(index, lambda old: _new_id(changes.experiments, old)))
        elif shift := changes.numbers.get(column.root):
            steps.append(_change_column(index, partial(operator.add, shift)))
        elif column.name in ADDRESSES and changes.addresses:
            steps.append(_change_column(index, changes.addresses.translate))
    return steps


def _default(table: Table, changes: Changes) -> list[Step]:
    if table.name != EXPERIMENT[0] or changes.default is None:
        return []
    number = table.names.index(EXPERIMENT[1])
    kept = [(table.names.index(name), value) for name, value in changes.default.items()]

    def change(row: Row) -> None:
        if row[number] == DEFAULT:
            for index, value in kept:
                row[index] = value

    return [change]


def _associations(table: Table, changes: Changes) -> list[Step]:
    if table.name != ASSOCIATIONS or not changes.renumbered:
        return []
    ends = [(table.names.index(f"{end}_type"), table.names.index(f"{end}_id")) for end in ENDS]

    def change(row: Row) -> None:
        for kind, number in ends:
            if row[kind] == EXPERIMENT_TYPE:
                row[number] = str(_new_id(changes.experiments, int(row[number])))

    return [change]


def _tags(table: Table, changes: Changes) -> list[Step]:
    names = table.names
    if not {"key", "value"} <= set(names):
        return []
    key, value = names.index("key"), names.index("value")

    def change(row: Row) -> None:
        if row[value] is None:
            return
        if row[key] == ARTIFACT_TAG:
            row[value] = changes.addresses.translate(row[value])
        elif row[key] == EXPERIMENTS_TAG:
            row[value] = experiments_in_list(row[value], changes.experiments)

    # Not metrics, which have a key and a value too: checking millions of them would take long.
    tags = table.name.endswith("tags")
    return [change] if tags and (changes.addresses or changes.renumbered) else []


def _spans(table: Table, changes: Changes) -> list[Step]:
    if table.name != "spans" or not changes.renumbered:
        return []
    return [
        _change_column(table.names.index("content"), lambda content: experiments_in_span(content, changes.experiments))
    ]


def _users(table: Table, changes: Changes) -> list[Step]:
    shift = changes.numbers.get(users.USER)
    if table.name == "roles" and shift:
        return [_change_column(table.names.index("name"), lambda name: users.renumbered_user_role(name, shift))]
    if table.name != permissions.TABLE or not changes.renumbered:
        return []
    kind, pattern = (table.names.index(f"resource_{what}") for what in ("type", "pattern"))

    def change(row: Row) -> None:
        row[pattern] = permissions.renumbered(row[kind], row[pattern], changes.experiments)

    return [change]


def _change_column(index: int, change: Callable[[Any], object]) -> Step:
    def step(row: Row) -> None:
        if row[index] is not None:
            row[index] = change(row[index])

    return step


def _new_id(experiments: Mapping[int, int], old: int) -> int:
    try:
        return experiments[old]
    except KeyError:
        raise Refused(
            "experiment-missing", f"a row belongs to the experiment {old}, which is not in the store"
        ) from None

"""The errors that a user can act on. docs/errors.md explains each by its code."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

REMEDY: Final = ". Mend it with: "
"""Stands before the remedy in every message of this project."""


class UserError(Exception):
    """Something that a user has to change.

    `code` is short, kebab-case and never changes. `seen` is what was found. `rule` is what must hold; it is empty when
    `seen` says it. `remedy` is the command that mends it; it is empty when there is none.
    """

    def __init__(self, code: str, seen: str, *, rule: str = "", remedy: str = "") -> None:
        super().__init__(code, seen, rule, remedy)
        self.code = code
        self.seen = seen
        self.rule = rule
        self.remedy = remedy

    @property
    def report(self) -> str:
        """What a user sees: the code, by which docs/errors.md explains it, and the message."""
        return f"[{self.code}] {self}"

    @property
    def problem(self) -> str:
        """What is wrong, without the remedy."""
        return f"{self.seen}: {self.rule}" if self.rule else self.seen

    def __str__(self) -> str:
        return f"{self.problem}{REMEDY}{self.remedy}" if self.remedy else self.problem


class ArgumentError(UserError):
    """An argument that cannot be used. A program that reads settings renames it and replaces the remedy."""

    def __init__(self, code: str, argument: str, value: object, *, rule: str, remedy: str = "") -> None:
        super().__init__(code, f"{argument} is {value!r}", rule=rule, remedy=remedy)
        self.argument = argument
        self.value = value


def report(errors: Iterable[UserError]) -> str:
    """Several errors as a user sees them, one a line; equal ones once."""
    return "\n".join(dict.fromkeys(each.report for each in errors))

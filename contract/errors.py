"""The errors that a user can act on. docs/errors.md explains each by its code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

REMEDY: Final = ". Mend it with: "
"""The text before the remedy in every message of this project."""


class UserError(Exception):
    """An error that a user can correct.

    `code` is short, kebab-case and never changes. `seen` is what was found. `rule` is the violated condition; it is
    empty if `seen` says it. `remedy` is the command that corrects the error; it is empty if there is none.
    """

    def __init__(self, code: str, seen: str, *, rule: str = "", remedy: str = "") -> None:
        super().__init__(code, seen, rule, remedy)
        self.code = code
        self.seen = seen
        self.rule = rule
        self.remedy = remedy

    @property
    def report(self) -> str:
        """The code, which docs/errors.md explains, and the message."""
        return f"[{self.code}] {self}"

    @property
    def problem(self) -> str:
        """What is wrong, without the remedy."""
        return f"{self.seen}: {self.rule}" if self.rule else self.seen

    def __str__(self) -> str:
        return f"{self.problem}{REMEDY}{self.remedy}" if self.remedy else self.problem


@dataclass(frozen=True)
class Argument:
    """Another argument that a rule mentions, and, in most cases, the value that it should have."""

    name: str
    value: object = None

    def __str__(self) -> str:
        return self.name if self.value is None else f"{self.name}={shown(self.value)}"


class ArgumentError(UserError):
    """An invalid argument of a component. A program that reads settings names the setting instead.

    `accepted` is a valid value; None means that the argument must be left out. `item` is the key or the index of the
    invalid part. Each `{}` of the rule stands for one of `mentions`, in their order.
    """

    def __init__(
        self,
        code: str,
        argument: str,
        value: object,
        *,
        rule: str,
        accepted: object = None,
        item: str | int | None = None,
        mentions: Sequence[Argument] = (),
    ) -> None:
        path = argument if item is None else f"{argument}[{item!r}]"
        remedy = f"leave {path} out" if accepted is None else f"{path}={shown(accepted)}"
        super().__init__(code, f"{path} is {shown(value)}", rule=mentioning(rule, mentions), remedy=remedy)
        self.argument = argument
        self.value = value
        self.rule_template = rule
        self.accepted = accepted
        self.item = item
        self.mentions = mentions


def shown(value: object) -> str:
    """A value in Python's syntax."""
    return f"{type(value).__name__}.{value.name}" if isinstance(value, Enum) else repr(value)


def mentioning(rule: str, mentions: Iterable[object]) -> str:
    """A rule with its `{}` replaced by the mentions. Unchanged without mentions."""
    names = [str(each) for each in mentions]
    return rule.format(*names) if names else rule


def report(errors: Iterable[UserError]) -> str:
    """The reports of several errors, one on each line, without duplicates."""
    return "\n".join(dict.fromkeys(each.report for each in errors))

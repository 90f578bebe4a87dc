"""The names of a stack's objects on the engine, and the rule for the names of stacks."""

from __future__ import annotations

import re
from typing import Final

_STACK_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def object_prefix(name: str, stack: str) -> str:
    """The beginning of the names of all objects of the platform `name` in the stack `stack`."""
    return f"{name}-{stack}"


def object_name(prefix: str, role: str) -> str:
    """The name of the object with a role."""
    return f"{prefix}-{role}"


def is_stack_name(name: str) -> bool:
    """Whether Docker accepts a name as a part of the names of containers, volumes and images."""
    return _STACK_NAME.fullmatch(name) is not None


def stack_name_near(name: str) -> str:
    """A valid stack name that resembles the given one."""
    words = "-".join(re.findall(r"[a-z0-9]+", name.lower()))
    return words if is_stack_name(words) else f"stack-{words}".rstrip("-")

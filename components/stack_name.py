"""What a stack may be called: its name is part of every container's, volume's and image's."""

from __future__ import annotations

import re

_USABLE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def is_usable(name: str) -> bool:
    """Whether Docker takes it."""
    return _USABLE.fullmatch(name) is not None


def proposed(name: str) -> str:
    """A usable name that is as near as can be."""
    words = "-".join(re.findall(r"[a-z0-9]+", name.lower()))
    return words if is_usable(words) else f"stack-{words}".rstrip("-")

"""Replaces attributes of other people's code. ADR 10 lists each use, with its reason."""

from __future__ import annotations


def replace(owner: object, **attributes: object) -> None:
    """Replace existing attributes of a class, an object or a module."""
    for name, value in attributes.items():
        setattr(owner, name, value)

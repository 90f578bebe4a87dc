"""What stands in the place of MLflow's own functions, and of other libraries'."""

from __future__ import annotations


def replace(owner: object, **attributes: object) -> None:
    """Set attributes of a class, an object or a module that have these names already."""
    for name, value in attributes.items():
        setattr(owner, name, value)

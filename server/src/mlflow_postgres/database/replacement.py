"""Functions in the place of MLflow's own."""

from __future__ import annotations


def replace(owner: object, **functions: object) -> None:
    """Set functions as attributes of a class or a module, by the names that its own have."""
    for name, function in functions.items():
        setattr(owner, name, function)

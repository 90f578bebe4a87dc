"""Lists as the text of PostgreSQL's arrays. A statement then has the same types of parameters for every list."""

from __future__ import annotations

from collections.abc import Iterable


def of_texts(values: Iterable[str]) -> str:
    return "{" + ",".join(['"' + each.replace("\\", "\\\\").replace('"', '\\"') + '"' for each in values]) + "}"


def of_numbers(values: Iterable[float]) -> str:
    """Of integers, or of floats that are finite. `repr` loses no digit."""
    return "{" + ",".join(map(repr, values)) + "}"


def of_booleans(values: Iterable[bool]) -> str:
    return "{" + ",".join(["t" if each else "f" for each in values]) + "}"

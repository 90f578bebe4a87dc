"""Lists as the text of PostgreSQL's arrays. A statement then has the same types of parameters for every list."""

from __future__ import annotations

from collections.abc import Iterable


def of_texts(values: Iterable[str | None]) -> str:
    return "{" + ",".join(map(_text, values)) + "}"


def _text(value: str | None) -> str:
    return "NULL" if value is None else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def of_numbers(values: Iterable[float]) -> str:
    """Of integers, or of floats that are finite. `repr` loses no digit."""
    return "{" + ",".join(map(repr, values)) + "}"


def of_booleans(values: Iterable[bool]) -> str:
    return "{" + ",".join(["t" if each else "f" for each in values]) + "}"

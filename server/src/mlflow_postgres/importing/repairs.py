"""Repairs values that PostgreSQL cannot hold because of a single character. No I/O."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from .tables import Column, Kind
from .values import BadValue, are_valid, converter

NO_NULL = "null instead of NaN or Infinity"
NO_NUL = "U+FFFD instead of NUL or a lone surrogate"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A value that PostgreSQL cannot hold as it is."""

    index: int
    """Its index among the examined values."""
    value: object = None
    """The repaired or converted value."""
    replaced: str = ""
    """What was replaced, in words; empty if the value was only converted."""
    error: BadValue | None = None
    """Why it cannot be repaired."""


def findings(column: Column) -> Callable[[Sequence[object]], Iterable[Finding]]:
    """A function that finds the values of a column that PostgreSQL cannot hold as they are."""
    one = converter(column)

    def look(values: Sequence[object]) -> Iterator[Finding]:
        for index, value in enumerate(() if are_valid(column, values) else values):
            new, replaced = repaired(column.kind, value)
            try:
                made = one(new)
            except BadValue as error:
                yield Finding(index=index, error=error)
            else:
                # A number in a text column would not be equal to the text that refers to it.
                if replaced or (column.kind in (Kind.TEXT, Kind.INTEGER) and type(made) is not type(value)):
                    yield Finding(index=index, value=made, replaced=replaced)

    return look


def repaired(kind: Kind, value: object) -> tuple[object, str]:
    """The repaired value, and what was replaced, in words.

    A value without invalid characters, and one of another type, is unchanged.
    """
    if kind not in (Kind.TEXT, Kind.JSON):
        return value, ""
    if kind is Kind.JSON and isinstance(value, float) and not math.isfinite(value):
        # SQLite stores JSON that is only a number as a number.
        return "null", NO_NULL
    try:
        text = value.decode(errors="surrogatepass") if isinstance(value, bytes) else value
    except UnicodeDecodeError:
        return value, ""
    if not isinstance(text, str):
        return value, ""
    # Two surrogates that were encoded separately are one character.
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "\ufffd")
    replaced = NO_NUL if whole != text else ""
    if kind is Kind.JSON and ("NaN" in whole or "Infinity" in whole):
        number = _NOT_A_NUMBER.sub(lambda found: found[0] if found[0].startswith('"') else "null", whole)
        return number, NO_NULL if number != whole else replaced
    return whole, replaced


# Matches strings too, so that their contents are skipped.
_NOT_A_NUMBER = re.compile(r'"(?:[^"\\]|\\.)*"|-?Infinity|NaN', re.DOTALL)

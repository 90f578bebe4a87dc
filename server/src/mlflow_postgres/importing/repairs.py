"""What stands for a value that PostgreSQL cannot hold when one character of it is in the way. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from .tables import Column, Kind
from .values import BadValue, are_right, converter

NO_NULL = "null where NaN or Infinity stood"
NO_NUL = "U+FFFD where a NUL or half of a character stood"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A value that is not PostgreSQL's as it is."""

    index: int
    """Where it is among those that were looked at."""
    value: object = None
    """What stands for it."""
    replaced: str = ""
    """What was replaced in it, in words; empty when it says the same."""
    error: BadValue | None = None
    """Why nothing can stand for it."""


def findings(column: Column) -> Callable[[Sequence[object]], Iterable[Finding]]:
    """What looks at values of a column of the store, and finds those that PostgreSQL would not take as they are."""
    one = converter(column)

    def look(values: Sequence[object]) -> Iterator[Finding]:
        for index, value in enumerate(() if are_right(column, values) else values):
            new, replaced = mended(column.kind, value)
            try:
                made = one(new)
            except BadValue as error:
                yield Finding(index=index, error=error)
            else:
                # A number in a text's place would not be found by those that name it.
                if replaced or (column.kind in (Kind.TEXT, Kind.INTEGER) and type(made) is not type(value)):
                    yield Finding(index=index, value=made, replaced=replaced)

    return look


def mended(kind: Kind, value: object) -> tuple[object, str]:
    """What stands for a value that PostgreSQL cannot hold when one character alone is in the way; with what that is.

    A value with nothing in the way, and one that is another one altogether, is as it was.
    """
    if kind not in (Kind.TEXT, Kind.JSON):
        return value, ""
    if kind is Kind.JSON and isinstance(value, float) and not math.isfinite(value):
        # SQLite takes a JSON that is a number for one.
        return "null", NO_NULL
    try:
        text = value.decode(errors="surrogatepass") if isinstance(value, bytes) else value
    except UnicodeDecodeError:
        return value, ""
    if not isinstance(text, str):
        return value, ""
    # Two halves, each written by itself, are the character that they are halves of.
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "\ufffd")
    replaced = NO_NUL if whole != text else ""
    if kind is Kind.JSON and ("NaN" in whole or "Infinity" in whole):
        number = _NOT_A_NUMBER.sub(lambda found: found[0] if found[0].startswith('"') else "null", whole)
        return number, NO_NULL if number != whole else replaced
    return whole, replaced


# Texts as well, so that what is in them is passed over.
_NOT_A_NUMBER = re.compile(r'"(?:[^"\\]|\\.)*"|-?Infinity|NaN', re.DOTALL)

"""What the indexes of `migration/tuning.py` contain of the texts that a condition finds.

A value may have 8,000 characters. An index row cannot contain so many, so the indexes are on the first ones. PostgreSQL
does not derive `left(value, 128) = left('x', 128)` from `value = 'x'`, so a search has both conditions.
"""

from __future__ import annotations

import re

INDEXED = 128
"""The first characters of a value that an index contains, and the most bytes of a value that counts as short."""

_SHORT = {"tags", "trace_tags", "trace_request_metadata"}
"""Tables with an index of short values."""
_BEGINNINGS = {"tags", "params"}
"""Tables with an index of the first characters."""


def is_short(comparator: str, table: str, value: str) -> bool:
    """Whether a condition is for a whole value, which the index of short values contains if there is one."""
    return comparator == "=" and table in _SHORT and len(value.encode("utf-8", "surrogatepass")) <= INDEXED


def is_beginning(comparator: str, table: str, value: str) -> bool:
    """Whether a condition is one on the indexed characters alone, in a table that has an index of them."""
    if table not in _BEGINNINGS:
        return False
    if comparator == "=":
        return len(value) < INDEXED
    return value == literal_beginning(comparator, value) + "%"


def literal_beginning(comparator: str, value: str) -> str:
    """The first indexed characters of every text that the condition finds. Empty if they may differ."""
    if comparator == "=":
        return value[:INDEXED]
    return re.split(r"[%_\\]", value, maxsplit=1)[0][:INDEXED]

"""JSON as texts that a statement joins.

`json_build_object` finds out the type of each value for each row, and `json_strip_nulls` reads the JSON again. For
traces, these two took nearly three times as long.
"""

from __future__ import annotations

from collections.abc import Mapping


def members(values: Mapping[str, str]) -> str:
    """The members of a JSON object whose values are not NULL, without its braces. Empty if there is none."""
    written = ", ".join(f"""'"{key}": ' || {value}""" for key, value in values.items())
    return f"concat_ws(', ', {written})"


def an_object(values: Mapping[str, str]) -> str:
    """A JSON object of the values that are not NULL."""
    return f"'{{' || {members(values)} || '}}'"


def a_list(values: str, order: str = "") -> str:
    """A JSON list of a value of each row. NULL if there is none."""
    return f"'[' || string_agg({values}, ', ' {order}) || ']'"


def text(expression: str) -> str:
    return f"to_json({expression})::text"


def quoted(expression: str) -> str:
    """A text that needs no escapes."""
    return f"""'"' || {expression} || '"'"""

"""The values of SQLite, which holds anything in any column, as those of PostgreSQL, which does not."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence, Set
from datetime import date
from functools import partial
from typing import Any

from ..job import Refused
from .tables import Column, Kind, Table

Convert = Callable[[Any], Any]
Row = list[Any]


class BadValue(Exception):
    """PostgreSQL cannot hold a value; the message says why, and does not show it."""


def convert_rows(table: Table) -> Callable[[Sequence[Any]], Row]:
    """What makes a row of SQLite's, in the order of the table's columns, one of PostgreSQL's. Raises `Refused`."""
    converts = [converter(column) for column in table.columns]

    def convert(row: Sequence[Any]) -> Row:
        try:
            return [None if value is None else one(value) for one, value in zip(converts, row, strict=True)]
        except BadValue:
            raise _refused(table, converts, row) from None

    return convert


def convert_batches(table: Table) -> Callable[[Sequence[Sequence[Any]]], list[Row]]:
    """The same of many rows, a column at a time: nearly all of them hold what they are to hold. Raises `Refused`."""
    columns = [_convert_column(column) for column in table.columns]
    one_by_one = convert_rows(table)

    def convert(batch: Sequence[Sequence[Any]]) -> list[Row]:
        try:
            converted = [one(values) for one, values in zip(columns, zip(*batch, strict=True), strict=True)]
        except BadValue:
            return [one_by_one(row) for row in batch]
        return [list(row) for row in zip(*converted, strict=True)]

    return convert


def _convert_column(column: Column) -> Callable[[Sequence[Any]], Sequence[Any]]:
    one = converter(column)

    def convert(values: Sequence[Any]) -> Sequence[Any]:
        types = set(map(type, values))
        set_ = [value for value in values if value is not None] if type(None) in types else values
        if _is_right(column, types - {type(None)}, set_):
            return values
        return [None if value is None else one(value) for value in values]

    return convert


def _is_right(column: Column, types: Set[type], values: Sequence[Any]) -> bool:
    """Whether values, none of them NULL, are PostgreSQL's as they are; False when that takes a closer look."""
    match column.kind:
        case Kind.INTEGER if types == {int}:
            limit = 2 ** (column.bits - 1)
            return bool(-limit <= min(values) and max(values) < limit)
        case Kind.TEXT if types == {str}:
            return "\0" not in "".join(values) and (column.length is None or max(map(len, values)) <= column.length)
        case Kind.FLOAT:
            return types == {float}
    return not types


def converter(column: Column) -> Convert:
    """What makes a value, other than NULL, one of PostgreSQL's; it raises `BadValue`."""
    match column.kind:
        case Kind.INTEGER:
            return partial(_integer, 2 ** (column.bits - 1))
        case Kind.TEXT:
            return partial(_text, column.length)
        case Kind.FLOAT:
            return _float
        case Kind.BOOLEAN:
            return _boolean
        case Kind.JSON:
            return _json
        case Kind.BYTES:
            return _bytes
        case Kind.DATE:
            return _date


def canonical(text: str) -> str:
    """A JSON text as it is compared: PostgreSQL may keep another one of the same meaning."""
    return json.dumps(json.loads(text), sort_keys=True)


def _refused(table: Table, converts: Sequence[Convert], row: Sequence[Any]) -> Refused:
    """Which row and column it was: looked up only now, since every row passes by."""
    named = dict(zip(table.names, row, strict=True))
    key = ", ".join(f"{name} {str(named[name])[:60]!r}" for name in table.key if name in named)
    for column, one, value in zip(table.columns, converts, row, strict=True):
        try:
            if value is not None:
                one(value)
        except BadValue as error:
            return Refused(
                f"the column {table.name}.{column.name} holds a value that {error} (the row of {key}); nothing was "
                "changed. Mend it in a copy of the store, with: sqlite3 COPY, then: make import SOURCE=COPY"
            )
    raise AssertionError("every value is right")


def _integer(limit: int, value: Any) -> int:
    if type(value) is not int:
        if not isinstance(value, float) or not value.is_integer():
            raise BadValue("is no whole number")
        value = int(value)
    if not -limit <= value < limit:
        raise BadValue(f"is beyond PostgreSQL's {limit.bit_length()} bits")
    return int(value)


# SQLite has no such floats: they come as bytes.
_NOT_IN_SQLITE = {b"-0.0": -0.0, b"nan": math.nan}


def _float(value: Any) -> float:
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, bytes) and value in _NOT_IN_SQLITE:
        return _NOT_IN_SQLITE[value]
    raise BadValue("is no number")


def _boolean(value: Any) -> bool:
    if value in (0, 1):
        return bool(value)
    raise BadValue("is neither true nor false")


def _text(length: int | None, value: Any) -> str:
    if type(value) is not str:
        value = _decoded(value) if isinstance(value, bytes) else str(value)
    if "\0" in value:
        raise BadValue("has a NUL character in it, which PostgreSQL's texts cannot hold")
    if length is not None and len(value) > length:
        raise BadValue(f"is {len(value)} characters long, and PostgreSQL's column holds {length}")
    return str(value)


def _decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise BadValue("is not UTF-8") from None


def _json(value: Any) -> str:
    text = _text(None, value)
    try:
        json.loads(text)
    except ValueError:
        raise BadValue("is not JSON") from None
    return text


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _date(value: Any) -> date:
    try:
        # SQLAlchemy writes a date alone; by hand, a time may follow.
        return date.fromisoformat(str(value)[:10])
    except ValueError:
        raise BadValue("is no date") from None

"""Converts values of SQLite, whose columns can hold any type, to the types of PostgreSQL's columns."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence, Set
from datetime import date
from functools import partial
from typing import Any

from ..errors import Refused
from .tables import Column, Kind, Table

Convert = Callable[[object], object]
Row = list[Any]
"""Each cell has the type of its column."""


_BATCH = 10_000
"""Rows in memory at a time."""
_LONG_BATCH = 200
"""The same for a table with text of any length, such as spans: the container has 1.5 GB of memory."""
_LONG = (Kind.TEXT, Kind.JSON, Kind.BYTES)

CHANGE_COPY = "sqlite3 COPY, where COPY is a copy of the store, then: make import SOURCE=COPY"
"""The remedy for a value or row of a SQLite file that cannot be imported."""

_SHOWN = 60
_PRIVATE = ("password", "secret", "token")
"""Parts of the names of columns whose values must not be printed."""


class BadValue(Exception):
    """A value that PostgreSQL cannot hold. Neither `why` nor `remedy` shows it."""

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__(why)
        self.why = why
        self.remedy = remedy


def batch_size(table: Table) -> int:
    """The number of rows of a table that may be in memory at a time."""
    return _LONG_BATCH if any(each.kind in _LONG and each.length is None for each in table.columns) else _BATCH


def shown(column: str, value: object) -> str:
    """A value, shortened and escaped for a terminal."""
    if any(part in column for part in _PRIVATE):
        return "a value that is not shown"
    if isinstance(value, str | bytes) and len(value) > _SHOWN:
        return f"{value[:_SHOWN]!r}…"
    return "NULL" if value is None else repr(value)


def convert_rows(table: Table) -> Callable[[Sequence[object]], Row]:
    """A function that converts a row. It raises `Refused` if a value cannot be converted."""
    converts = [converter(column) for column in table.columns]

    def convert(row: Sequence[object]) -> Row:
        try:
            return [one(value) for one, value in zip(converts, row, strict=True)]
        except BadValue:
            raise _refused(table, converts, row) from None

    return convert


def convert_batches(table: Table) -> Callable[[Sequence[Sequence[object]]], list[Row]]:
    """A function that converts many rows. It is fast for columns whose values are valid already. Raises `Refused`."""
    columns = [_convert_column(column) for column in table.columns]
    one_by_one = convert_rows(table)

    def convert(batch: Sequence[Sequence[object]]) -> list[Row]:
        try:
            converted = [one(values) for one, values in zip(columns, zip(*batch, strict=True), strict=True)]
        except BadValue:
            return [one_by_one(row) for row in batch]
        return [list(row) for row in zip(*converted, strict=True)]

    return convert


def _convert_column(column: Column) -> Callable[[Sequence[object]], Sequence[object]]:
    one = converter(column)

    def convert(values: Sequence[object]) -> Sequence[object]:
        return values if are_valid(column, values) else [one(value) for value in values]

    return convert


def are_valid(column: Column, values: Sequence[object]) -> bool:
    """Whether all values fit the column as they are. May be False for valid values, which `converter` then checks."""
    types = set(map(type, values))
    if type(None) not in types:
        return _is_valid(column, types, values)
    not_null = [value for value in values if value is not None]
    return column.nullable and _is_valid(column, types - {type(None)}, not_null)


def _is_valid(column: Column, types: Set[type], values: Sequence[Any]) -> bool:
    """The same for values without NULL."""
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
    """A function that converts a value of a column. It raises `BadValue`."""
    one = _converter(column)

    def convert(value: object) -> object:
        if value is not None:
            return one(value)
        if column.nullable:
            return None
        raise BadValue("PostgreSQL's column does not allow", "set a value")

    return convert


def _converter(column: Column) -> Convert:
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
    """JSON in a normal form for the comparison. PostgreSQL may change its spelling."""
    try:
        value = json.loads(text)
    except ValueError:
        # int() rejects numbers with thousands of digits, which PostgreSQL keeps.
        value = json.loads(text, parse_int=str)
    return json.dumps(value, sort_keys=True)


def key_of(table: Table, row: Sequence[object]) -> str:
    """The primary key of a row, in words."""
    named = dict(zip(table.names, row, strict=True))
    return ", ".join(f"{name} {shown(name, named[name])}" for name in table.key if name in named)


def _refused(table: Table, converts: Sequence[Convert], row: Sequence[object]) -> Refused:
    """The error for a row with a bad value: finds the column, which the conversion does not track."""
    for column, one, value in zip(table.columns, converts, row, strict=True):
        try:
            one(value)
        except BadValue as error:
            return Refused(
                "value-invalid",
                f"the column {table.name}.{column.name} has a value that {error.why} (the row with "
                f"{key_of(table, row)})",
                remedy=CHANGE_COPY,
            )
    raise AssertionError("every value is right")


def _integer(limit: int, value: object) -> int:
    if type(value) is not int:
        if not isinstance(value, float) or not value.is_integer():
            raise BadValue("is not an integer", "set an integer")
        value = int(value)
    if not -limit <= value < limit:
        raise BadValue(f"does not fit into PostgreSQL's {limit.bit_length()} bits", "set a smaller number")
    return int(value)


# SQLite cannot store these floats; they are stored as bytes.
_NOT_IN_SQLITE = {b"-0.0": -0.0, b"nan": math.nan}


def _float(value: object) -> float:
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, bytes) and value in _NOT_IN_SQLITE:
        return _NOT_IN_SQLITE[value]
    raise BadValue("is not a number", "set a number")


def _boolean(value: object) -> bool:
    if value in (0, 1):
        return bool(value)
    raise BadValue("is not a boolean", "set 1 or 0")


def _text(length: int | None, value: object) -> str:
    if type(value) is not str:
        value = _decoded(value) if isinstance(value, bytes) else str(value)
    if "\0" in value:
        raise BadValue("contains a NUL character, which PostgreSQL's text cannot hold", "remove it")
    if length is not None and len(value) > length:
        raise BadValue(f"is {len(value):,} characters long, and PostgreSQL's column holds {length:,}", "shorten it")
    return str(value)


def _decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise BadValue("is not UTF-8", "convert it to UTF-8") from None


def _json(value: object) -> str:
    text = _text(None, value)
    try:
        # The comparison must be able to read and write it.
        canonical(text)
    except ValueError:
        raise BadValue("is not JSON", "set JSON") from None
    except RecursionError:
        raise BadValue("is JSON that is nested too deeply", "set JSON with fewer levels") from None
    return text


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode(errors="surrogatepass")


def _date(value: object) -> date:
    try:
        # SQLAlchemy writes only a date. Other programs may have added a time.
        return date.fromisoformat(str(value)[:10])
    except ValueError:
        raise BadValue("is not a date", "set a date such as 2026-01-31") from None

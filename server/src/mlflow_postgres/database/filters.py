"""Conditions on the text of a parameter or a tag, said once more in a way that an index can serve.

A value may have 8,000 characters, and no index row holds that: the indexes are on the first characters. PostgreSQL
does not see by itself that `value = 'x'` is true only where `left(value, 128) = left('x', 128)` is.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import sqlalchemy
from mlflow.utils.search_utils import SearchUtils
from sqlalchemy import ColumnElement

from ..replacement import replace

Comparison = Callable[[ColumnElement[str], object], ColumnElement[bool]]
"""What makes a condition of a column and a value."""

INDEXED = 128
"""Characters of a value that `migration/tuning.py` has in its indexes, and bytes of a short one."""

_BEGINNINGS = {"params", "tags"}
"""Tables with an index of the beginnings of their values."""
_SHORT = {"tags", "trace_tags", "trace_request_metadata"}
"""Tables with an index of their short values."""


def install() -> None:
    original: Callable[[str, str], Comparison] = SearchUtils.get_sql_comparison_func

    def get_sql_comparison_func(comparator: str, dialect: str) -> Comparison:
        compare = original(comparator, dialect)
        if dialect != "postgresql" or comparator not in ("=", "LIKE"):
            return compare

        def comparison(column: ColumnElement[str], value: object) -> ColumnElement[bool]:
            table = getattr(getattr(column, "table", None), "name", "")
            if column.key != "value" or table not in _BEGINNINGS | _SHORT or not isinstance(value, str):
                return compare(column, value)
            if is_short(comparator, table, value):
                length = sqlalchemy.func.octet_length(column)
                return sqlalchemy.and_(compare(column, value), length <= sqlalchemy.literal_column(str(INDEXED)))
            beginning, is_all = literal_beginning(comparator, value)
            if not beginning or table not in _BEGINNINGS:
                return compare(column, value)
            indexed = sqlalchemy.func.left(column, sqlalchemy.literal_column(str(INDEXED)))
            served = indexed == beginning if comparator == "=" else indexed.like(f"{beginning}%")
            # Not both where one will do: PostgreSQL takes them for independent, and expects far too few rows.
            return served if is_all else sqlalchemy.and_(compare(column, value), served)

        return comparison

    replace(SearchUtils, get_sql_comparison_func=staticmethod(get_sql_comparison_func))


def is_short(comparator: str, table: str, value: str) -> bool:
    """Whether it is asked for a whole value, and the index of those that are not long has it."""
    return comparator == "=" and table in _SHORT and len(value.encode("utf-8", "surrogatepass")) <= INDEXED


def literal_beginning(comparator: str, value: str) -> tuple[str, bool]:
    """What the indexed characters of all that fits are or begin with, and whether all that do so fit.

    Empty if nothing is known of them.
    """
    if comparator == "=":
        return value[:INDEXED], len(value) < INDEXED
    literal = re.split(r"[%_\\]", value, maxsplit=1)[0]
    return literal[:INDEXED], value == f"{literal}%" and len(literal) <= INDEXED

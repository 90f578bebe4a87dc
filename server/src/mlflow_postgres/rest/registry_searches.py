"""Searches in the model registry: arguments, and the page that is the answer."""

from __future__ import annotations

from collections.abc import Sequence

from . import answers, pages, registry_filters
from .arguments import Arguments
from .database import Database
from .errors import NotServed
from .registry_filters import Searched


class Search(Arguments):
    max_results: int
    filter: str = ""
    order_by: Sequence[str] = ()
    page_token: str = ""


async def page(database: Database, searched: Searched, statement: str, arguments: Search) -> bytes:
    """The answer. The statement selects whether MLflow can read a row, and its JSON."""
    before = pages.offset(arguments.page_token)
    most = arguments.max_results
    condition, values = registry_filters.translated(searched, arguments.filter)
    order = registry_filters.ordered(searched, tuple(arguments.order_by))
    rows = await database.read(
        filled(statement, condition, order),
        {**values, "offset": str(before), "limit": str(most + 1)},
        prepare=False,
    )
    if any(row[0] == b"f" for row in rows[:most]):
        raise NotServed
    fields = []
    if rows:
        fields.append(b'"%b":[%b]' % (searched.field, b",".join([row[1] for row in rows[:most]])))
    if len(rows) > most:
        fields.append(b'"next_page_token":"%b"' % pages.token(before + most))
    return answers.ascii_json(b"{%b}" % b",".join(fields))


def filled(statement: str, condition: str, order: str) -> str:
    # Not by `format`: JSON has braces.
    return statement.replace("{order}", order).replace("{condition}", condition)

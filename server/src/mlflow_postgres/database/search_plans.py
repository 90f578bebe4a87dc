"""Searches whose plan is made for what they ask for, each time.

psycopg has a statement prepared once it was asked five times, and after five more PostgreSQL may keep one plan for
whatever is asked with it. Of a tag and a metric's range it cannot know then that thousands of runs have either: it
looks each of them up, which takes several times as long as the plan for those values, and the more a server is used,
the more of its connections do so. Planning takes half a millisecond; what does not ask for a page stays prepared.
"""

from __future__ import annotations

from typing import LiteralString

import psycopg
import sqlalchemy
from psycopg import abc

_ORDER, _PAGE = " ORDER BY ", "\n LIMIT "
"""What SQLAlchemy writes of a statement that asks for a page; what is asked for is not in the text."""


def install() -> None:
    def do_execute(cursor: object, statement: LiteralString, parameters: abc.Params | None, _: object) -> bool:
        # Others, such as one that leaves its rows on the server, take no such word.
        if type(cursor) is not psycopg.Cursor or not is_search(statement):
            return False
        cursor.execute(statement, parameters, prepare=False)
        return True

    sqlalchemy.event.listen(sqlalchemy.Engine, "do_execute", do_execute)


def is_search(statement: str) -> bool:
    """Whether a statement of SQLAlchemy's asks for a page: how many more rows match depends on its values."""
    return statement.startswith("SELECT ") and _ORDER in statement and _PAGE in statement

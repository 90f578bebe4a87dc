"""Statements with a hundred parameters, taken apart once and not at every call.

MLflow asks for the details of a page by a list of its ids. psycopg remembers how a statement is taken apart only up to
50 parameters; beyond them it costs more than a millisecond each time, and a page has three or four such statements.
"""

from __future__ import annotations

import importlib

from ..replacement import replace

_LONGEST = 64 * 1024
"""Characters; psycopg remembers 128 statements."""
_MOST = 1_000
"""Parameters."""


def install() -> None:
    queries = importlib.import_module("psycopg._queries")
    replace(queries, MAX_CACHED_STATEMENT_LENGTH=_LONGEST, MAX_CACHED_STATEMENT_PARAMS=_MOST)

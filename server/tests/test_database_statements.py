"""A statement with many parameters is taken apart once."""

from __future__ import annotations

from typing import Any

import psycopg._queries
import pytest
from psycopg.adapt import Transformer

from mlflow_postgres.database import statements


def test_a_statement_with_a_hundred_parameters_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    queries: Any = psycopg._queries
    for name in ("MAX_CACHED_STATEMENT_LENGTH", "MAX_CACHED_STATEMENT_PARAMS"):
        monkeypatch.setattr(queries, name, getattr(queries, name))
    parameters = [str(number) for number in range(100)]
    statement = f"SELECT 1 WHERE 'x' IN ({', '.join(['%s'] * 100)})"

    def hits_of_two_calls() -> int:
        before: int = queries._query2pg.cache_info().hits
        for _ in range(2):
            queries.PostgresQuery(Transformer()).convert(statement, parameters)
        return int(queries._query2pg.cache_info().hits) - before

    assert hits_of_two_calls() == 0, "psycopg remembers it by itself"
    statements.install()
    assert hits_of_two_calls() == 1

"""Conditions that bound the metric which a search is ordered by, and statements that are searches."""

from __future__ import annotations

import pytest

from mlflow_postgres.database.metric_order import is_range
from mlflow_postgres.database.search_plans import is_search


@pytest.mark.parametrize(
    ("kind", "key", "comparator", "bounds"),
    [
        *(("metric", "m", comparator, True) for comparator in ("=", ">", ">=", "<", "<=")),
        ("metric", "m", "!=", False),
        ("metric", "n", ">", False),
        ("parameter", "m", "=", False),
    ],
)
def test_a_condition_on_the_metric_itself_bounds_it(kind: str, key: str, comparator: str, bounds: bool) -> None:
    assert is_range({"type": kind, "key": key, "comparator": comparator, "value": "1"}, "m") is bounds


@pytest.mark.parametrize(
    ("statement", "search"),
    [
        ("SELECT DISTINCT runs.name \nFROM runs ORDER BY runs.name \n LIMIT %(param_1)s::INTEGER", True),
        ("SELECT runs.name \nFROM runs \nWHERE runs.run_uuid = %(run_uuid_1)s::VARCHAR", False),
        ("SELECT runs.name \nFROM runs \nWHERE runs.name = %(name_1)s::VARCHAR \n LIMIT %(param_1)s::INTEGER", False),
        ("\nWITH run AS (INSERT INTO runs (name) SELECT name FROM runs \n LIMIT 1) SELECT 1", False),
    ],
)
def test_what_asks_for_a_page_is_a_search(statement: str, search: bool) -> None:
    assert is_search(statement) is search

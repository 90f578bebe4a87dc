"""What the faster store makes of a batch before it is written."""

from __future__ import annotations

import pytest
from mlflow.entities import Metric, Param, RunTag

from mlflow_postgres.database.batches import kept, latest, plain

Row = tuple[str, float, int, int, bool]


@pytest.mark.parametrize(
    ("rows", "stays"),
    [
        ([("m", 1.0, 5, 1, False), ("m", 9.0, 4, 1, False)], [("m", 1.0, 5, 1, False)]),
        ([("m", 1.0, 5, 1, False), ("m", 0.5, 1, 2, False)], [("m", 0.5, 1, 2, False)]),
        ([("m", 1.0, 5, 1, False), ("m", 2.0, 5, 1, False)], [("m", 2.0, 5, 1, False)]),
        ([("m", 0.0, 5, 1, True), ("m", 0.0, 5, 1, False)], [("m", 0.0, 5, 1, True)]),
        ([("a", 1.0, 1, 1, False), ("b", 2.0, 1, 1, False)], [("a", 1.0, 1, 1, False), ("b", 2.0, 1, 1, False)]),
    ],
    ids=["a later timestamp", "a later step", "the greater value", "the first of equals", "each key has its own"],
)
def test_the_latest_of_a_batch(rows: list[Row], stays: list[Row]) -> None:
    assert latest(rows) == stays


def test_what_mlflow_writes_into_other_tables_too_is_left_to_it() -> None:
    metric, tag = Metric("m", 1.0, 1, 1), RunTag("t", "v")
    assert plain([metric], [tag])
    assert not plain([Metric("m", 1.0, 1, 1, model_id="m-1")], [tag])
    assert not plain([metric], [RunTag("mlflow.runName", "another")])


@pytest.mark.parametrize(("given", "stays"), [("a\0b", "a\ufffdb"), ("ü", "ü"), ("", "")])
def test_a_parameter_is_compared_as_the_database_holds_it(given: str, stays: str) -> None:
    """A client that got no answer logs it again, and may not be told that it changes it."""
    param = kept(Param("p", given))
    assert (param.key, param.value) == ("p", stays)

"""A parameter that is logged once more."""

from __future__ import annotations

import pytest
from mlflow.entities import Param

from mlflow_postgres.database.batches import kept


@pytest.mark.parametrize(("given", "stays"), [("a\0b", "a\ufffdb"), ("ü", "ü"), ("", "")])
def test_a_parameter_is_compared_as_the_database_holds_it(given: str, stays: str) -> None:
    """A client that got no answer logs it again, and may not be told that it changes it."""
    param = kept(Param("p", given))
    assert (param.key, param.value) == ("p", stays)

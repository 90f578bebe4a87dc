"""Which versions of MLflow the faster store is for."""

from __future__ import annotations

from mlflow_postgres.database.store import COMPARED

from . import CHECKOUT


def test_every_version_that_can_be_chosen_has_been_compared() -> None:
    locks = {path.stem for path in (CHECKOUT / "images" / "mlflow" / "locks").glob("*.txt")}
    assert locks == COMPARED, (
        "a new version runs without the faster store, until server/tests/test_comparison.py has passed on it"
    )

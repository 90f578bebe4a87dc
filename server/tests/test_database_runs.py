"""The name of a run that is made without MLflow, or that it is MLflow's to find one."""

from __future__ import annotations

import pytest
from mlflow.entities import RunTag

from mlflow_postgres.database.runs import is_canonical, name_of

NAMED = RunTag("mlflow.runName", "tagged")
EMPTY = RunTag("mlflow.runName", "")
OTHER = RunTag("other", "tagged")


@pytest.mark.parametrize(
    ("run_name", "tags", "name"),
    [
        ("named", [], "named"),
        ("named", [OTHER], "named"),
        ("tagged", [OTHER, NAMED], "tagged"),
        (None, [NAMED], "tagged"),
        ("", [OTHER, NAMED], "tagged"),
        ("名前 😀", [], "名前 😀"),
    ],
    ids=["a name", "a name and another tag", "both the same", "a tag", "a tag and an empty name", "of any language"],
)
def test_a_name_that_was_given_in_either_way_is_the_name(run_name: str | None, tags: list[RunTag], name: str) -> None:
    assert name_of(run_name, tags) == name


@pytest.mark.parametrize(
    ("run_name", "tags"),
    [
        (None, []),
        ("", []),
        (None, [OTHER]),
        ("named", [NAMED]),
        ("Tagged", [NAMED]),
        ("named", [EMPTY]),
        (None, [EMPTY]),
        ("tagged", [NAMED, NAMED]),
        (None, [NAMED, RunTag("mlflow.runName", "another")]),
        ("named", [OTHER, OTHER]),
        ("named", [OTHER, RunTag("other", "another")]),
    ],
    ids=[
        *("neither", "an empty name", "another tag", "both but different", "a different case", "an empty tag"),
        *("nothing but an empty tag", "the tag twice", "two names", "another tag twice", "another tag with two values"),
    ],
)
def test_a_name_that_is_missing_or_in_doubt_is_left_to_mlflow(run_name: str | None, tags: list[RunTag]) -> None:
    assert name_of(run_name, tags) is None


@pytest.mark.parametrize("text", ["0", "7", "10", "987654321"])
def test_an_id_as_mlflow_writes_it(text: str) -> None:
    assert is_canonical(text)


@pytest.mark.parametrize("text", ["", "007", "00", "-1", "+1", "1 ", "1\n", "1.0", "1e3", "\u0667", "letters", None])
def test_an_id_that_is_written_otherwise_is_left_to_mlflow(text: str | None) -> None:
    assert not is_canonical(text)

"""What an image says that it wants of its database, read from its files."""

from __future__ import annotations

from pathlib import Path

import pytest

from contract.schema import Index
from mlflow_postgres.errors import Failed
from mlflow_postgres.migration import requirements
from mlflow_postgres.migration.tuning import INDEXES


def scripts(folder: Path, *texts: str) -> list[Path]:
    paths = [folder / f"{number}.py" for number in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(f'"""A migration."""\nimport what_is_not_there\n\n{text}\n\ndef upgrade():\n    revision = 1\n')
    return paths


FIRST = 'revision = "a"\ndown_revision = None'
SECOND = 'revision: str = "b"\ndown_revision: str | None = "a"'


def test_the_newest_revision_is_the_one_that_none_builds_on(tmp_path: Path) -> None:
    assert requirements.newest(scripts(tmp_path, SECOND, FIRST, "")) == "b"
    both = 'revision = "d"\ndown_revision = ("b", "c")'
    assert requirements.newest(scripts(tmp_path, FIRST, SECOND, 'revision = "c"\ndown_revision = "a"', both)) == "d"


@pytest.mark.parametrize("other", ['revision = "c"\ndown_revision = "a"', None])
def test_two_ends_and_none_are_refused(tmp_path: Path, other: str | None) -> None:
    with pytest.raises(Failed, match=r"end in \d revisions .*: it must be one"):
        requirements.newest(scripts(tmp_path, FIRST, SECOND, other) if other else [])


def test_the_indexes_are_told_with_the_comment_that_they_carry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "version", lambda _: "3.17.2")
    monkeypatch.setattr(requirements, "newest", lambda paths: len(list(paths)) and "head")
    said = requirements.requirements(sign_in=False)
    assert (said.mlflow, said.revisions) == ("3.17.2", {"alembic_version": "head"})
    assert said.indexes.keys() == INDEXES.keys()
    assert said.compared == ["dc11669786a5"]
    table, definition = INDEXES["mlflow_postgres_runs_newest"]
    assert said.indexes["mlflow_postgres_runs_newest"] == Index(table=table, made_as=f"{table} {definition}")

"""What a failed migration says: in which state the database is, and the way on from there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from contract.dumps import Dump
from mlflow_postgres.errors import Failed, Refused
from mlflow_postgres.migration import restore, upgrade
from mlflow_postgres.migration.revisions import Due, TableSet

CONNECTION: Any = None
JOB: Any = SimpleNamespace(administrator=None, mlflow_version="3.17.2", backups_volume="backups")
SETS = [TableSet(name="main", current="old", head="new", due=Due.MIGRATE, pending=(Path("new.py"),))]
EARLIER = Dump(
    name="before-3.17.2-20260101T000000Z",
    created="2026-01-01T00:00:00+00:00",
    database="mlflow",
    from_revision="old",
    to_revision="new",
    from_version="3.6.0",
    to_version="3.17.2",
    size=7,
    sha256="0" * 64,
)


def failure(monkeypatch: pytest.MonkeyPatch, now: str, *, dumped: object = EARLIER, restored: object = None) -> Failed:
    """The error, when the database is at revision `now`. What is an error is raised."""

    def answer(given: object) -> Any:
        if isinstance(given, Exception):
            raise given
        return given

    monkeypatch.setattr(upgrade, "table_sets", lambda *_, **__: [replace(SETS[0], current=now)])
    monkeypatch.setattr(upgrade, "_dump", lambda *_: answer(dumped))
    monkeypatch.setattr(restore, "restore", lambda *_: answer(restored))
    return upgrade._failure(CONNECTION, JOB, SETS, EARLIER, "main tables: it broke")


def test_what_was_not_changed_is_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    error = failure(monkeypatch, "old")
    assert error.code == "migration-failed"
    assert "the database is as it was, at old," in error.seen
    assert error.seen.endswith("The cause, main tables: it broke")
    assert error.remedy == "bin/pulumi config set mlflowVersion 3.6.0, or remove the cause and make up"


def test_what_was_changed_is_put_back_and_what_was_logged_since_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    error = failure(monkeypatch, "half", dumped=replace(EARLIER, name="before-rollback"))
    assert error.code == "migration-failed"
    assert "was restored from the dump, at old (what was logged since is in before-rollback)" in error.seen


@pytest.mark.parametrize(
    "outcome",
    [
        {"dumped": Failed("dump-failed", "it failed", rule="nothing was changed")},
        {"restored": Failed("dump-not-restored", "it failed")},
        {"restored": Refused("dump-damaged", "it failed")},
    ],
)
def test_tables_that_are_between_two_schemas_are_never_called_unchanged(
    monkeypatch: pytest.MonkeyPatch, outcome: dict[str, object]
) -> None:
    error = failure(monkeypatch, "half", **outcome)
    assert error.code == "schema-between-versions"
    assert "is between two schemas. Restoring it failed: it failed. The first error, main tables: it broke" in str(
        error
    )
    assert "nothing was changed" not in str(error)
    assert error.remedy == f"make rollback DUMP={EARLIER.name}"


def test_tables_that_were_made_so_far_stay() -> None:
    error = upgrade._failure(CONNECTION, JOB, SETS, None, "main tables: it broke")
    assert error.code == "tables-not-created"
    assert str(error).endswith("are kept. The cause, main tables: it broke. Mend it with: make up, which continues")

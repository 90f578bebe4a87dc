"""What is known of an import around its commit, what is done after it, and how numbers are taken before it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest
from psycopg import sql

from mlflow_postgres.errors import Failed
from mlflow_postgres.importing import commit, importer, target
from mlflow_postgres.importing.tables import Column, Kind, Table
from mlflow_postgres.importing.target import Connection


class Answer:
    """A row of whatever was asked for."""

    def fetchone(self) -> tuple[Any, ...]:
        return ("a_sequence",)

    def fetchall(self) -> list[tuple[Any, ...]]:
        return [(7,)]


class FakeConnection:
    """A connection that writes down what it is told, and may end badly."""

    def __init__(self, *, at_commit: Exception | None = None, lost: bool = False, refuses: str = "nothing") -> None:
        self.at_commit = at_commit
        self.closed = lost
        self.refuses = refuses
        self.done: list[str] = []

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.done.append("BEGIN")
        yield
        if self.at_commit:
            raise self.at_commit
        self.done.append("COMMIT")

    def execute(self, query: str | sql.Composed, _: object = None) -> Answer:
        text = query if isinstance(query, str) else query.as_string()
        if self.refuses in text:
            raise psycopg.errors.LockNotAvailable(f"no lock\n{text}")
        self.done.append(text)
        return Answer()


def connected(fake: FakeConnection) -> Connection:
    return cast(Connection, fake)


def told(capsys: pytest.CaptureFixture[str]) -> list[Any]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


LOST = psycopg.OperationalError("server closed the connection unexpectedly")


def test_a_commit_is_told_before_and_after(capsys: pytest.CaptureFixture[str]) -> None:
    with commit.transaction(connected(FakeConnection())):
        assert told(capsys) == []
    assert told(capsys) == [{"committing": True}, {"committed": True}]


def test_a_connection_that_is_lost_over_the_commit_leaves_it_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    fake = FakeConnection(at_commit=LOST, lost=True)
    with (
        pytest.raises(Failed, match=r"not known whether the import was committed.*which reports it"),
        commit.transaction(connected(fake)),
    ):
        pass
    assert told(capsys) == [{"committing": True}]


def test_a_server_that_answers_has_not_committed(capsys: pytest.CaptureFixture[str]) -> None:
    error = psycopg.errors.DiskFull("no space left")
    with pytest.raises(psycopg.errors.DiskFull), commit.transaction(connected(FakeConnection(at_commit=error))):
        pass
    assert {"committed": True} not in told(capsys)


def test_a_connection_that_is_lost_before_the_commit_is_no_doubt(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(psycopg.OperationalError), commit.transaction(connected(FakeConnection(lost=True))):
        raise LOST
    assert told(capsys) == []


def test_the_comparison_has_its_name_after_the_commit_and_the_tables_are_looked_at(tmp_path: Path) -> None:
    file, fake = tmp_path / "import-1.json", FakeConnection()
    commit.partial_path(file).write_text("{}")
    assert not list(tmp_path.glob("import-*"))
    copied = tmp_path / "copied-1.json"
    copied.touch()
    assert commit.finish(connected(fake), {"runs": 2, "tags": 0}, file, copied) == file
    assert not copied.exists()
    assert file.read_text() == "{}"
    assert fake.done == ['VACUUM (ANALYZE) "public"."runs"']


def test_what_goes_wrong_after_the_commit_is_a_note(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "import-1.json"
    copied = tmp_path / "copied-1.json"
    found = commit.finish(connected(FakeConnection(refuses="ANALYZE")), {"runs": 2}, file, copied)
    assert found == commit.partial_path(file)
    assert told(capsys) == [
        {"note": "the comparison could not be renamed and is in .partial-import-1.json: No such file or directory"},
        {"note": "VACUUM ANALYZE of the imported tables failed; autovacuum will do it: no lock"},
    ]


def test_a_sequence_is_raised_in_one_statement_while_nobody_makes_a_row() -> None:
    fake = FakeConnection()
    with closing(sqlite3.connect(":memory:")) as copy:
        copy.execute("CREATE TABLE rollups (id)")
        copy.execute("INSERT INTO rollups VALUES (3)")
        number = Column(name="id", kind=Kind.INTEGER, root=("rollups", "id"))
        rollups = Table(name="rollups", columns=(number,), key=("id",), counter="id")
        assert target.new_numbers(connected(fake), copy, [rollups]) == {("rollups", "id"): 4}
    begin, lock, raised, end = fake.done[1:]
    assert (begin, end) == ("BEGIN", "COMMIT")
    assert lock == 'LOCK TABLE "public"."rollups" IN SHARE ROW EXCLUSIVE MODE'
    assert "setval(" in raised
    assert "nextval(" in raised


@pytest.mark.parametrize(
    ("ours", "theirs", "notes"),
    [
        (
            "active",
            "deleted",
            ["experiment 'Default' is deleted in the old store, and is active here with its imported runs"],
        ),
        ("deleted", "active", []),
        ("active", "active", []),
    ],
)
def test_that_the_first_experiment_stays_active_is_told(
    capsys: pytest.CaptureFixture[str], ours: str, theirs: str, notes: list[str]
) -> None:
    with closing(sqlite3.connect(":memory:")) as copy:
        copy.execute("CREATE TABLE experiments (experiment_id, name, lifecycle_stage)")
        copy.execute("INSERT INTO experiments VALUES (0, 'Default', ?)", (theirs,))
        importer._report_kept_values(copy, {"name": "Default", "lifecycle_stage": ours})
        importer._report_kept_values(copy, {"name": "Mine", "lifecycle_stage": "deleted"})
    said = [each["note"] for each in told(capsys)]
    assert said == [*notes, "experiment 'Default' becomes 'Mine', the default experiment of this server"]

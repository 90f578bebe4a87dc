"""What ended imports have copied in vain is removed, and nothing else is."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from mlflow_postgres.importing import artifacts, leftovers
from mlflow_postgres.importing.target import Connection

from .test_importing_commit import FakeConnection


class Answer:
    def __init__(self, row: tuple[int] | None) -> None:
        self.row = row

    def fetchone(self) -> tuple[int] | None:
        return self.row


class Rows(FakeConnection):
    """A database with rows of some keys."""

    def __init__(self, **there: set[Any]) -> None:
        super().__init__()
        self.there = there

    def execute(self, query: Any, values: Any = None) -> Any:
        text = query.decode() if isinstance(query, bytes) else str(query)
        self.done.append(text)
        for table, keys in self.there.items():
            if f"public.{table} " in text:
                return Answer((1,) if keys & set(values[0]) else None)
        return Answer(None)


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    (tmp_path / "backups").mkdir()
    return tmp_path / "volume"


def copied(volume: Path, *files: str, experiments: tuple[int, ...] = (7,)) -> Path:
    """What an import has copied, as it has written it down."""
    folders = {(volume / each).parent: None for each in files}
    note = leftovers.record(volume, folders, experiments, volume.parent / "backups")
    put(volume, *files)
    return note


def put(volume: Path, *files: str) -> None:
    for each in files:
        (volume / each).parent.mkdir(parents=True, exist_ok=True)
        (volume / each).write_text("x")


def removed(volume: Path, rows: Rows) -> list[str]:
    """What is left in the volume."""
    leftovers.remove(cast(Connection, rows), volume, volume.parent / "backups")
    assert list((volume.parent / "backups").iterdir()) == []
    return sorted(
        str(each.relative_to(volume)) for each in volume.rglob("*") if each.is_file() or not any(each.iterdir())
    )


def test_what_was_copied_in_vain_is_removed_with_its_folders(volume: Path) -> None:
    put(volume, "5/other/artifacts/a", artifacts.PARTIAL)
    copied(volume, "7/run/artifacts/a", "7/models/m/artifacts/b", "7/traces/t/artifacts/c")
    copied(volume, "8/run\udcff/artifacts/a", experiments=(8,))
    rows = Rows(experiments={5})
    assert removed(volume, rows) == ["5/other/artifacts/a"]
    assert rows.done[:3] == [
        "BEGIN",
        "SET LOCAL lock_timeout = 0",
        "SELECT pg_advisory_xact_lock(%s)",
    ], "one that may yet be committed is waited for"


def test_what_a_committed_import_has_stays(volume: Path) -> None:
    copied(volume, "7/run/artifacts/a", "7/gone/artifacts/a")
    assert removed(volume, Rows(experiments={7})) == ["7/gone/artifacts/a", "7/run/artifacts/a"]


@pytest.mark.parametrize(
    ("table", "key", "left"),
    [
        ("runs", "run", ["0/models/m/artifacts/a", "0/run/artifacts/a"]),
        ("logged_models", "m", ["0/models/m/artifacts/a", "0/run/artifacts/a"]),
        ("runs", "another", ["0/models"]),
    ],
)
def test_in_the_first_experiment_which_is_always_there_its_own_rows_tell(
    volume: Path, table: str, key: str, left: list[str]
) -> None:
    copied(volume, "0/run/artifacts/a", "0/models/m/artifacts/a", "0/\udcff/artifacts/a", experiments=(0,))
    if key != "another":
        left = [*left, "0/\udcff/artifacts/a"]
    assert removed(volume, Rows(**{table: {key}})) == left


def test_what_was_there_before_is_somebody_elses(volume: Path) -> None:
    put(volume, "7/run/artifacts/a")
    copied(volume, "7/run/artifacts/b", "7/more/artifacts/b")
    assert removed(volume, Rows()) == ["7/run/artifacts/a", "7/run/artifacts/b"]


def test_it_is_written_down_before_the_first_file_is_there(volume: Path) -> None:
    note = leftovers.record(volume, [volume / "7" / "run" / "artifacts"], [7], volume.parent / "backups")
    assert note.read_text() == '{"experiments": [7], "folders": ["7/run/artifacts"]}'
    assert not volume.exists()
    volume.mkdir()
    assert removed(volume, Rows()) == []


def test_without_a_note_the_database_is_not_asked(volume: Path) -> None:
    volume.mkdir()
    rows = Rows()
    assert removed(volume, rows) == []
    assert rows.done == []

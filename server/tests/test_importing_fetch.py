"""The copy of a SQLite file is what its owner would read, in whatever state the file is; and it is only read."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

import pytest

from mlflow_postgres.errors import Refused
from mlflow_postgres.importing import assessment_times, folders
from mlflow_postgres.importing.sources import copy_store, open_copy

ROWS = 2_000


def made(path: Path, mode: str) -> sqlite3.Connection:
    """A file with one committed table, and the connection that wrote it."""
    path.parent.mkdir(parents=True)
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA journal_mode = {mode}")
    connection.execute("CREATE TABLE runs (id, value)")
    connection.executemany("INSERT INTO runs VALUES (?, ?)", [(number, "x" * 200) for number in range(ROWS)])
    connection.commit()
    return connection


def values(copy: Path) -> dict[str, int]:
    with closing(open_copy(copy)) as connection:
        return dict(connection.execute("SELECT substr(value, 1, 1), count(*) FROM runs GROUP BY 1"))


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def moved(path: Path, to: Path) -> Path:
    """What would be left of a file after a loss of power: the index of its log is not written to the disk."""
    to.mkdir()
    for each in path.parent.iterdir():
        if not each.name.endswith("-shm"):
            shutil.copyfile(each, to / each.name)
    return to / path.name


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_a_file_that_a_server_has_open_is_read_as_it_is_at_that_moment(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "store" / "mlflow.db"
    with closing(made(path, mode)):
        before = files(path.parent)
        assert values(copy_store(path, tmp_path / "scratch")) == {"x": ROWS}
        after = files(path.parent)
    # The log's index is where readers say that they are there.
    assert {name: held for name, held in after.items() if not name.endswith("-shm")} == {
        name: held for name, held in before.items() if not name.endswith("-shm")
    }


def test_what_is_only_in_the_log_of_a_killed_server_is_read(tmp_path: Path) -> None:
    path = tmp_path / "store" / "mlflow.db"
    with closing(made(path, "WAL")):
        left = moved(path, tmp_path / "left")
    assert (tmp_path / "left" / "mlflow.db-wal").stat().st_size > 0
    before = files(left.parent)
    assert values(copy_store(left, tmp_path / "scratch")) == {"x": ROWS}
    assert {name: held for name, held in files(left.parent).items() if name in before} == before


def test_a_transaction_that_was_cut_short_is_not_in_the_copy(tmp_path: Path) -> None:
    path = tmp_path / "store" / "mlflow.db"
    with closing(made(path, "DELETE")) as connection:
        connection.execute("PRAGMA cache_size = 5")
        connection.execute("UPDATE runs SET value = 'y' || value")
        left = moved(path, tmp_path / "left")
    assert (tmp_path / "left" / "mlflow.db-journal").stat().st_size > 0
    before = files(left.parent)
    assert values(copy_store(left, tmp_path / "scratch")) == {"x": ROWS}
    assert files(left.parent) == before


def test_what_changes_while_it_is_copied_without_a_lock_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store" / "mlflow.db"
    with closing(made(path, "DELETE")) as connection:
        connection.execute("PRAGMA cache_size = 5")
        connection.execute("UPDATE runs SET value = 'y' || value")
        left = moved(path, tmp_path / "left")
    copy_file = folders.copy_file

    def copied(source: Path, target: Path) -> None:
        copy_file(source, target)
        with source.open("ab") as file:
            file.write(b"more")

    monkeypatch.setattr(folders, "copy_file", copied)
    with pytest.raises(Refused, match=r"mlflow\.db was changed while it was copied"):
        copy_store(left, tmp_path / "scratch")


@pytest.mark.parametrize("name", ["mlflow.db", "mlflow.db-wal"])
def test_what_is_put_in_a_files_place_after_it_was_looked_at_is_not_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path, secret = tmp_path / "store" / "mlflow.db", tmp_path / "secret" / "mlflow.db"
    with closing(made(path, "WAL")), closing(made(secret, "WAL")) as others:
        others.execute("UPDATE runs SET value = 'secret'")
        others.commit()
        opened = folders.open_file

        def replaced(file: Path) -> BinaryIO:
            found = opened(file)
            (path.parent / name).unlink()
            (path.parent / name).symlink_to(secret.parent / name)
            return found

        monkeypatch.setattr(folders, "open_file", replaced)
        with pytest.raises(Refused, match=r"was replaced while it was opened|is a symbolic link"):
            copy_store(path, tmp_path / "scratch")
        assert not (tmp_path / "scratch" / "copy.db").exists()


def test_a_rule_of_the_tables_that_a_value_breaks_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "store" / "mlflow.db"
    made(path, "DELETE").close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = 1")
        connection.execute("CREATE TABLE other (status CHECK (status = 'a'))")
        connection.execute("INSERT INTO other VALUES ('b')")
        connection.commit()
    assert values(copy_store(path, tmp_path / "scratch")) == {"x": ROWS}


@pytest.mark.parametrize(("content", "said"), [(b"text", "is not a SQLite file"), (None, "is damaged")])
def test_what_is_not_whole_is_refused(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "store" / "mlflow.db"
    made(path, "DELETE").close()
    path.write_bytes(path.read_bytes()[: 4096 * 20] if content is None else content)
    with pytest.raises(Refused, match=f"mlflow.db {said}"):
        copy_store(path, tmp_path / "scratch")


def test_assessments_of_a_folder_get_the_times_that_it_says(tmp_path: Path) -> None:
    for place, name in (("5", "a"), (".trash/6", "b"), ("5", "c")):
        folder = tmp_path / place / "traces" / "tr-1" / "assessments"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.yaml").write_text(
            f"assessment_id: {name}\ncreate_time: '1970-01-01T00:00:01.500Z'\nlast_update_time: 1970-01-01T00:00:02Z\n"
        )
    copy = tmp_path / "copy.db"
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("CREATE TABLE assessments (assessment_id, created_timestamp, last_updated_timestamp)")
        connection.executemany("INSERT INTO assessments VALUES (?, ?, 0)", [("a", 0), ("b", 0), ("c", 7)])
        connection.commit()
        assessment_times.restore(tmp_path, copy)
        assert connection.execute("SELECT * FROM assessments").fetchall() == [
            ("a", 1500, 2000),
            ("b", 1500, 2000),
            ("c", 7, 0),
        ]


@pytest.mark.parametrize("content", [b"a: [", b"\xff", b"[1, 2]", b"text", b"create_time: 2026-13-45", b"[" * 5_000])
def test_an_assessment_that_is_damaged_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "5" / "traces" / "tr-1" / "assessments" / "a-1.yaml"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    with pytest.raises(Refused, match=r"'5/traces/tr-1/assessments/a-1.yaml' in the store is not the YAML .* Mend "):
        list(assessment_times._times(tmp_path))


def test_an_assessment_without_a_name_of_its_own_has_that_of_its_file(tmp_path: Path) -> None:
    file = tmp_path / "5" / "traces" / "tr-1" / "assessments" / "a-1.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("assessment_id: {a: 1}\ncreate_time: 1970-01-01T00:00:02Z\n")
    assert list(assessment_times._times(tmp_path)) == [(2000, 2000, "a-1")]


@pytest.mark.parametrize("moment", [None, "soon", 5])
def test_what_is_no_moment_is_none(moment: object) -> None:
    assert assessment_times.milliseconds(moment) is None

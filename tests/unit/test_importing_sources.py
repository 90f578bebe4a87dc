"""The store at a path."""

from __future__ import annotations

from pathlib import Path

import pytest

from contract.errors import UserError
from ops.sources import Source, find_store

from .old_stores import database, experiment


def test_a_sqlite_file_is_recognized_by_its_header_and_its_folder_is_mounted(tmp_path: Path) -> None:
    path = database(tmp_path / "any.name")
    for given in (str(path), f"sqlite:///{path}", f"sqlite:///{path}?timeout=5", f"file://{path}"):
        assert find_store(given) == Source(path=path)
    assert (Source(path=path).mounted, Source(path=path).file) == (tmp_path, "any.name")


def test_a_folder_store_is_recognized_by_its_experiments(tmp_path: Path) -> None:
    experiment(tmp_path / "mlruns" / "0", "/old/0")
    for given in (tmp_path, tmp_path / "mlruns"):
        assert find_store(str(given)) == Source(path=tmp_path / "mlruns")
    assert Source(path=tmp_path / "mlruns").mounted == tmp_path / "mlruns"


def test_a_store_with_only_deleted_experiments_is_a_store(tmp_path: Path) -> None:
    experiment(tmp_path / ".trash" / "5", "/old/5")
    assert find_store(str(tmp_path)).path == tmp_path


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("missing.db", "there is no such file or folder"),
        ("text.db", "is not a SQLite file"),
        ("empty", "is empty"),
        ("other", "holds no experiment"),
        ("both", "holds no experiments, but mlflow.db: a store is one or the other"),
    ],
)
def test_any_other_path_is_refused_with_the_remedy(tmp_path: Path, given: str, said: str) -> None:
    (tmp_path / "text.db").write_text("not SQLite")
    (tmp_path / "empty").mkdir()
    (tmp_path / "other" / "1").mkdir(parents=True)
    database(tmp_path / "both" / "mlflow.db")
    (tmp_path / "both" / "mlruns" / "0").mkdir(parents=True)
    with pytest.raises(UserError, match=rf"{given}:? .*{said}.*SOURCE=") as error:
        find_store(str(tmp_path / given))
    assert "\n" not in str(error.value)


def test_another_database_is_refused_by_its_scheme() -> None:
    with pytest.raises(UserError, match=r"^mysql://… cannot be imported") as error:
        find_store("mysql://me:hunter2@host/mlflow")
    assert "hunter2" not in str(error.value)


def test_an_unreadable_folder_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for given in (str(tmp_path / "loop" / "mlruns"), "~nobody-of-that-name/mlruns", "file:///a%00b"):
        with pytest.raises(UserError) as error:
            find_store(given)
        assert "\n" not in str(error.value)

    def closed(self: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "is_dir", closed)
    with pytest.raises(UserError, match=rf"cannot be read: {tmp_path}: Permission denied"):
        find_store(str(tmp_path))

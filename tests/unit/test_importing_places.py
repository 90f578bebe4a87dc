"""Where on this machine a store's artifacts are, and that a store alone cannot say what is copied."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ops.places import Places, places
from ops.sources import Source
from ops.stack import StackError

from .old_stores import database, experiment


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A folder for a store."""
    folder = tmp_path / "store"
    folder.mkdir()
    return folder


def test_a_file_stores_artifacts_are_found_where_its_experiments_say(store: Path) -> None:
    for name in ("far/1", "mlruns/2", "mlartifacts/3"):
        (store / name).mkdir(parents=True)
    taken = {
        f"{store}/far/1": store / "far" / "1",
        "./mlruns/2": store / "mlruns" / "2",
        "/gone/mlruns/2": store / "mlruns" / "2",
        "mlflow-artifacts:/3": store / "mlartifacts" / "3",
    }
    elsewhere = ["s3://bucket/5", "mlflow-artifacts://host:5000/3", "mlflow-artifacts:/4"]
    found = places(Source(path=database(store / "mlflow.db", *taken, *elsewhere)))
    assert found == Places(taken=taken)


def test_nothing_was_ever_put_where_a_folder_would_be_if_there_were_one(store: Path) -> None:
    (store / "mlruns" / "1").mkdir(parents=True)
    empty = [f"file://{store}/mlruns/4", "/gone/mlruns/5", "./mlruns/6"]
    others = ["/gone/data/7", "/gone/mlruns/../8", f"{store}/../9", "/gone/10"]
    found = places(Source(path=database(store / "mlflow.db", "/gone/mlruns/1", "./mlruns/1", *empty, *others)))
    assert (sorted(found.empty), sorted(found.missing)) == (sorted(empty), sorted(others))


def test_a_folder_that_is_not_there_is_not_one_without_artifacts(store: Path) -> None:
    (store / "mlruns").mkdir()
    locations = ["./mlruns/4", "/gone/data/6"]
    found = places(Source(path=database(store / "mlflow.db", *locations)))
    assert (found.taken, found.empty, sorted(found.missing)) == ({}, [], sorted(locations))


def test_artifacts_of_a_database_are_only_in_folders_that_are_named(tmp_path: Path) -> None:
    data, rows = tmp_path / "data", tmp_path / "rows"
    for name in ("2", "mlruns/3", "mlartifacts/4"):
        (data / name).mkdir(parents=True)
    locations = ["mlflow-artifacts:/2", "/gone/mlruns/3", "mlflow-artifacts:/4", "/gone/mlruns/5", "s3://bucket/2"]
    source = Source(path=database(rows / "rows.db", *locations), rows_only=True)
    assert places(source) == Places(missing=["/gone/mlruns/3", "/gone/mlruns/5"])
    found = places(source, [data])
    assert found.taken == dict(
        zip(locations, [data / "2", data / "mlruns" / "3", data / "mlartifacts" / "4"], strict=False)
    )
    assert (found.empty, found.missing) == (["/gone/mlruns/5"], [])
    shutil.copytree(data / "2", rows / "mlartifacts" / "2")
    assert places(source).taken == {}, "what is beside the rows is not the store's"


def test_what_is_outside_of_the_stores_folder_is_only_taken_when_it_is_allowed(store: Path) -> None:
    data, other = store.parent / "data", store.parent / "data-2"
    for folder in (data / "1", other / "1"):
        folder.mkdir(parents=True)
    (store / "link").symlink_to(other)
    locations = [f"{data}/1", f"{store}/link/1", str(store), str(data)]
    source = Source(path=database(store / "mlflow.db", *locations))
    found = places(source)
    assert (found.taken, list(found.missing), sorted(found.outside)) == ({}, [], sorted(locations))
    allowed = places(source, [data])
    assert allowed.taken == {f"{data}/1": data / "1", str(data): data}
    assert sorted(allowed.outside) == sorted([f"{store}/link/1", str(store)])
    assert places(source, [data / "1"]).taken == {f"{data}/1": data / "1"}


@pytest.mark.parametrize("location", ["mlruns/../mlruns/1", "file:///a/%2e%2e/1", "/gone/.."])
def test_a_location_that_climbs_is_not_followed(store: Path, location: str) -> None:
    (store / "mlruns" / "1").mkdir(parents=True)
    assert places(Source(path=database(store / "mlflow.db", location))) == Places(missing=[location])


def test_a_server_may_not_climb_out_of_its_folder(store: Path) -> None:
    (store / "mlruns" / "1").mkdir(parents=True)
    assert places(Source(path=database(store / "mlflow.db", "mlflow-artifacts:/../mlruns/1"))) == Places()


def test_a_file_that_cannot_be_read_says_nothing(store: Path) -> None:
    with closing(sqlite3.connect(store / "mlflow.db")) as connection:
        connection.execute("CREATE TABLE other (id)")
    assert places(Source(path=store / "mlflow.db")) == Places()


def test_a_folder_stores_artifacts_are_with_its_runs_wherever_it_is_today(store: Path) -> None:
    here = experiment(store / "0", "file:///gone/mlruns/0")
    deleted = experiment(store / ".trash" / "5", "/gone/mlruns/5")
    experiment(store / "7", "s3://bucket/7")
    assert places(Source(path=store)).taken == {"file:///gone/mlruns/0": here, "/gone/mlruns/5": deleted}


def seen(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {each.name: (each.read_bytes(), each.stat().st_mtime_ns) for each in folder.iterdir()}


@pytest.mark.parametrize("left", ["closed", "open", "killed"])
def test_a_store_with_a_log_is_only_read(store: Path, left: str) -> None:
    locations = ["a/1", "a/2"]
    with closing(sqlite3.connect(store / "mlflow.db")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE experiments (artifact_location)")
        connection.executemany("INSERT INTO experiments VALUES (?)", [(each,) for each in locations])
        connection.commit()
        folder = store
        if left == "killed":
            folder = store.parent / "killed"
            shutil.copytree(store, folder, ignore=shutil.ignore_patterns("*-shm"))
        if left != "closed":
            assert (folder / "mlflow.db-wal").stat().st_size
            before = seen(folder)
            assert sorted(places(Source(path=folder / "mlflow.db")).missing) == locations
            assert seen(folder) == before
    if left == "closed":
        before = seen(folder)
        assert list(before) == ["mlflow.db"]
        assert sorted(places(Source(path=folder / "mlflow.db")).missing) == locations
        assert seen(folder) == before


def test_a_folder_below_one_that_is_closed_is_not_there(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    is_dir = Path.is_dir

    def closed(self: Path) -> bool:
        if self.parts[1:2] == ("closed",):
            raise PermissionError(13, "Permission denied", str(self))
        return is_dir(self)

    monkeypatch.setattr(Path, "is_dir", closed)
    assert places(Source(path=database(store / "mlflow.db", "/closed/1"))) == Places(missing=["/closed/1"])


@pytest.mark.parametrize("content", [b"a: [", b"\xff\xfe\xff", b"a: !!python/object:x {}"])
def test_what_is_no_yaml_is_one_line_with_the_file(store: Path, content: bytes) -> None:
    (experiment(store / "1", "x") / "meta.yaml").write_bytes(content)
    with pytest.raises(StackError, match=rf"{store}/1/meta.yaml is not YAML") as error:
        places(Source(path=store))
    assert "\n" not in str(error.value)


def test_yaml_that_may_not_be_read_is_one_line(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment(store / "1", "x")

    def closed(self: Path) -> str:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_text", closed)
    with pytest.raises(StackError, match=r"cannot be read: .*/1/meta.yaml: Permission denied"):
        places(Source(path=store))

"""Where a store's artifacts are on this machine, and that the store alone cannot decide what is copied."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from contract.errors import UserError
from ops.artifact_locations import ArtifactLocations, find_locations
from ops.sources import Source

from .old_stores import database, experiment


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A folder for a store."""
    folder = tmp_path / "store"
    folder.mkdir()
    return folder


def test_artifacts_of_a_file_store_are_found_at_their_locations(store: Path) -> None:
    for name in ("far/1", "mlruns/2", "mlartifacts/3"):
        (store / name).mkdir(parents=True)
    taken = {
        f"{store}/far/1": store / "far" / "1",
        "./mlruns/2": store / "mlruns" / "2",
        "/gone/mlruns/2": store / "mlruns" / "2",
        "mlflow-artifacts:/3": store / "mlartifacts" / "3",
    }
    elsewhere = ["s3://bucket/5", "mlflow-artifacts://host:5000/3", "mlflow-artifacts:/4"]
    found = find_locations(Source(path=database(store / "mlflow.db", *taken, *elsewhere)))
    assert found == ArtifactLocations(copied=taken, empty=["mlflow-artifacts:/4"])


def test_a_location_without_a_folder_beside_existing_ones_is_empty(store: Path) -> None:
    (store / "mlruns" / "1").mkdir(parents=True)
    empty = [f"file://{store}/mlruns/4", "/gone/mlruns/5", "./mlruns/6"]
    others = ["/gone/data/7", "/gone/mlruns/../8", f"{store}/../9", "/gone/10"]
    found = find_locations(Source(path=database(store / "mlflow.db", "/gone/mlruns/1", "./mlruns/1", *empty, *others)))
    assert (sorted(found.empty), sorted(found.missing)) == (sorted(empty), sorted(others))


def test_a_missing_folder_is_not_an_empty_location(store: Path) -> None:
    (store / "mlruns").mkdir()
    locations = ["./mlruns/4", "/gone/data/6"]
    found = find_locations(Source(path=database(store / "mlflow.db", *locations)))
    assert (found.copied, found.empty, sorted(found.missing)) == ({}, [], sorted(locations))


def test_artifacts_of_a_database_are_only_in_named_folders(tmp_path: Path) -> None:
    data, rows = tmp_path / "data", tmp_path / "rows"
    for name in ("2", "mlruns/3", "mlartifacts/4"):
        (data / name).mkdir(parents=True)
    locations = ["mlflow-artifacts:/2", "/gone/mlruns/3", "mlflow-artifacts:/4", "/gone/mlruns/5", "s3://bucket/2"]
    source = Source(path=database(rows / "rows.db", *locations), rows_only=True)
    assert find_locations(source) == ArtifactLocations(missing=["/gone/mlruns/3", "/gone/mlruns/5"])
    found = find_locations(source, [data])
    assert found.copied == dict(
        zip(locations, [data / "2", data / "mlruns" / "3", data / "mlartifacts" / "4"], strict=False)
    )
    assert (found.empty, found.missing) == (["/gone/mlruns/5"], [])
    shutil.copytree(data / "2", rows / "mlartifacts" / "2")
    assert find_locations(source).copied == {}, "what is beside the rows is not the store's"


@pytest.mark.parametrize("named", ["files", ".", "files/1"])
@pytest.mark.parametrize("kind", ["file", "folder", "rows"])
def test_artifacts_of_a_server_are_found_in_its_artifacts_destination(tmp_path: Path, kind: str, named: str) -> None:
    files, location = tmp_path / "data" / "files", "mlflow-artifacts:/1"
    (files / "1").mkdir(parents=True)
    if named == ".":
        files.rename(tmp_path / "data" / "mlartifacts")
        files = tmp_path / "data" / "mlartifacts"
    source = Source(path=tmp_path / "old" / "mlruns")
    if kind == "folder":
        experiment(source.path / "1", location)
    else:
        source = Source(path=database(tmp_path / "old" / "mlflow.db", location), rows_only=kind == "rows")
    assert find_locations(source) == ArtifactLocations()
    found = find_locations(source, [(tmp_path / "data" / named).resolve()])
    assert found == ArtifactLocations(copied={location: files / "1"})


def test_the_whole_path_of_a_served_artifact_must_match(tmp_path: Path) -> None:
    (tmp_path / "files" / "5").mkdir(parents=True)
    location = "mlflow-artifacts:/workspaces/team/5"
    source = Source(path=database(tmp_path / "db" / "mlflow.db", location))
    assert find_locations(source, [tmp_path / "files"]) == ArtifactLocations()
    (tmp_path / "files" / "workspaces" / "team" / "5").mkdir(parents=True)
    assert list(find_locations(source, [tmp_path / "files"]).copied) == [location]


def test_artifacts_of_a_server_with_a_host_are_copied_only_from_an_unambiguous_named_folder(tmp_path: Path) -> None:
    files = tmp_path / "files"
    for number in (1, 2, 3):
        (files / str(number)).mkdir(parents=True)
    named = "mlflow-artifacts://host:5000/1"
    interface = "http://host:5000/api/2.0/mlflow-artifacts/artifacts/2"
    doubtful = ["mlflow-artifacts:/3", "mlflow-artifacts://host/3"]
    source = Source(path=database(tmp_path / "db" / "mlflow.db", named, interface, *doubtful))
    assert find_locations(source).copied == {}
    assert find_locations(source, [files]).copied == {
        named: files / "1",
        interface: files / "2",
        doubtful[0]: files / "3",
    }


def test_two_experiments_of_one_name_have_separate_folders(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for name in ("a/x", "b/x"):
        (data / name).mkdir(parents=True)
    locations = ["/gone/a/x", "file:///gone/b/x"]
    source = Source(path=database(tmp_path / "db" / "mlflow.db", *locations))
    assert find_locations(source, [data]).copied == dict(
        zip(locations, [data / "a" / "x", data / "b" / "x"], strict=True)
    )


def test_a_served_location_is_empty_only_if_others_of_the_server_exist(tmp_path: Path) -> None:
    (tmp_path / "files" / "1").mkdir(parents=True)
    source = Source(path=database(tmp_path / "db" / "mlflow.db", "mlflow-artifacts:/1", "mlflow-artifacts:/2"))
    assert find_locations(source).empty == []
    assert find_locations(source, [tmp_path / "files"]).empty == ["mlflow-artifacts:/2"]
    (tmp_path / "db" / "mlartifacts").mkdir()
    assert sorted(find_locations(source).empty) == ["mlflow-artifacts:/1", "mlflow-artifacts:/2"]


def test_artifacts_of_a_deleted_experiment_are_found(store: Path) -> None:
    (store.parent / "mlartifacts" / "5").mkdir(parents=True)
    experiment(store / ".trash" / "5", "mlflow-artifacts:/5")
    assert list(find_locations(Source(path=store)).outside) == ["mlflow-artifacts:/5"]


@pytest.mark.parametrize("location", ["http://[half/9", "a\0b", "/" + "x" * 300, b"\xff/9"])
def test_an_invalid_location_is_ignored(tmp_path: Path, location: object) -> None:
    (tmp_path / "mlruns" / "1").mkdir(parents=True)
    path = database(tmp_path / "mlflow.db", "mlruns/1")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO experiments VALUES (CAST(? AS TEXT))", (location,))
        connection.commit()
    assert list(find_locations(Source(path=path), [tmp_path]).copied) == ["mlruns/1"]


def test_folders_outside_of_the_store_are_copied_only_if_allowed(store: Path) -> None:
    data, other = store.parent / "data", store.parent / "data-2"
    for folder in (data / "1", other / "1"):
        folder.mkdir(parents=True)
    (store / "link").symlink_to(other)
    locations = [f"{data}/1", f"{store}/link/1", str(store), str(data)]
    source = Source(path=database(store / "mlflow.db", *locations))
    found = find_locations(source)
    assert (found.copied, list(found.missing), sorted(found.outside)) == ({}, [], sorted(locations))
    allowed = find_locations(source, [data])
    assert allowed.copied == {f"{data}/1": data / "1", str(data): data}
    assert sorted(allowed.outside) == sorted([f"{store}/link/1", str(store)])
    assert find_locations(source, [data / "1"]).copied == {f"{data}/1": data / "1"}


@pytest.mark.parametrize("location", ["mlruns/../mlruns/1", "file:///a/%2e%2e/1", "/gone/.."])
def test_a_location_with_dots_is_not_followed(store: Path, location: str) -> None:
    (store / "mlruns" / "1").mkdir(parents=True)
    assert find_locations(Source(path=database(store / "mlflow.db", location))) == ArtifactLocations(missing=[location])


def test_a_served_location_cannot_leave_its_folder(store: Path) -> None:
    (store / "mlruns" / "1").mkdir(parents=True)
    assert (
        find_locations(Source(path=database(store / "mlflow.db", "mlflow-artifacts:/../mlruns/1")))
        == ArtifactLocations()
    )


def test_an_unreadable_file_has_no_locations(store: Path) -> None:
    with closing(sqlite3.connect(store / "mlflow.db")) as connection:
        connection.execute("CREATE TABLE other (id)")
    assert find_locations(Source(path=store / "mlflow.db")) == ArtifactLocations()


def test_artifacts_of_a_moved_folder_store_are_found(store: Path) -> None:
    here = experiment(store / "0", "file:///gone/mlruns/0")
    deleted = experiment(store / ".trash" / "5", "/gone/mlruns/5")
    experiment(store / "7", "s3://bucket/7")
    assert find_locations(Source(path=store)).copied == {"file:///gone/mlruns/0": here, "/gone/mlruns/5": deleted}


def seen(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {each.name: (each.read_bytes(), each.stat().st_mtime_ns) for each in folder.iterdir()}


@pytest.mark.parametrize("left", ["closed", "open", "killed"])
def test_a_store_with_a_journal_is_not_changed(store: Path, left: str) -> None:
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
            assert sorted(find_locations(Source(path=folder / "mlflow.db")).missing) == locations
            assert seen(folder) == before
    if left == "closed":
        before = seen(folder)
        assert list(before) == ["mlflow.db"]
        assert sorted(find_locations(Source(path=folder / "mlflow.db")).missing) == locations
        assert seen(folder) == before


def test_a_folder_in_an_unreadable_folder_is_not_found(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    is_dir = Path.is_dir

    def closed(self: Path) -> bool:
        if self.parts[1:2] == ("closed",):
            raise PermissionError(13, "Permission denied", str(self))
        return is_dir(self)

    monkeypatch.setattr(Path, "is_dir", closed)
    assert find_locations(Source(path=database(store / "mlflow.db", "/closed/1"))) == ArtifactLocations(
        missing=["/closed/1"]
    )


@pytest.mark.parametrize(
    "content", [b"a: [", b"\xff\xfe\xff", b"a: !!python/object:x {}", b"a: 2026-13-45", b"[" * 5000]
)
def test_invalid_yaml_is_one_line_with_the_file(store: Path, content: bytes) -> None:
    (experiment(store / "1", "x") / "meta.yaml").write_bytes(content)
    with pytest.raises(UserError, match=rf"{store}/1/meta.yaml is not YAML") as error:
        find_locations(Source(path=store))
    assert "\n" not in str(error.value)


def test_unreadable_yaml_is_one_line(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment(store / "1", "x")

    def closed(self: Path) -> str:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_text", closed)
    with pytest.raises(UserError, match=r"cannot be read: .*/1/meta.yaml: Permission denied"):
        find_locations(Source(path=store))

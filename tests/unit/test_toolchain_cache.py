"""toolchain/cache.py: paths, keys and manifests of builds, and the lock."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from toolchain import progress
from toolchain.cache import (
    broken_file,
    cache_folder,
    exclusive_lock,
    key_of,
    mounts_below,
    remove_tree,
    replace_link,
    write_manifest,
)

CHECKOUT = Path(__file__).parents[2]

# --- where things are kept, and keys


def test_bin_pulumi_uses_the_same_cache_folder() -> None:
    assert cache_folder({"HOME": "/h"}) == Path("/h/.cache/mlflow-postgres")
    assert cache_folder({"HOME": "/h", "XDG_CACHE_HOME": "/x"}) == Path("/x/mlflow-postgres")
    assert cache_folder({"HOME": "/h", "XDG_CACHE_HOME": ""}) == Path("/h/.cache/mlflow-postgres")


def folder_with(place: Path, **files: str) -> Path:
    place.mkdir(parents=True)
    for name, text in files.items():
        (place / name).write_text(text)
    return place


def test_key_does_not_depend_on_the_path_of_the_checkout(tmp_path: Path) -> None:
    one = folder_with(tmp_path / "a" / "in", x="1", y="2")
    other = folder_with(tmp_path / "b" / "in", y="2", x="1")
    assert key_of([one, "v1"]) == key_of([other, "v1"])


def test_key_changes_with_content_name_and_text(tmp_path: Path) -> None:
    keys = {
        key_of([folder_with(tmp_path / "a" / "in", x="1"), "v1"]),
        key_of([folder_with(tmp_path / "b" / "in", x="2"), "v1"]),
        key_of([folder_with(tmp_path / "c" / "in", z="1"), "v1"]),
        key_of([tmp_path / "a" / "in", "v2"]),
    }
    assert len(keys) == 4
    assert key_of(["ab", "c"]) != key_of(["a", "bc"])


# --- the manifest


@pytest.fixture
def built(tmp_path: Path) -> tuple[Path, Path]:
    program = tmp_path / "bin" / "pulumi"
    program.parent.mkdir()
    program.write_bytes(b"program")
    program.chmod(0o755)
    write_manifest(tmp_path / "manifest.json", tmp_path, [program])
    return tmp_path / "manifest.json", program


def test_intact_files_pass(built: tuple[Path, Path]) -> None:
    manifest, program = built
    assert broken_file(manifest, program.parents[1]) is None


def test_no_manifest_means_nothing_was_completed(tmp_path: Path) -> None:
    assert broken_file(tmp_path / "manifest.json", tmp_path) == ""


def test_a_file_with_a_new_time_and_the_old_content_is_intact(built: tuple[Path, Path]) -> None:
    manifest, program = built
    os.utime(program, (1, 1))
    assert broken_file(manifest, program.parents[1]) is None
    assert '"mtime_ns": 1000000000' in manifest.read_text()


@pytest.mark.parametrize("damage", ["content", "size", "gone", "not executable"])
def test_damage_is_detected(built: tuple[Path, Path], damage: str) -> None:
    manifest, program = built
    if damage == "content":
        program.write_bytes(b"PROGRAM")
        os.utime(program, (1, 1))
    elif damage == "size":
        program.write_bytes(b"")
    elif damage == "gone":
        program.unlink()
    else:
        program.chmod(0o644)
    assert broken_file(manifest, program.parents[1]) == "bin/pulumi"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"bin/pulumi": {}}'])
def test_a_broken_manifest_is_detected(built: tuple[Path, Path], text: str) -> None:
    manifest, program = built
    manifest.write_text(text)
    assert broken_file(manifest, program.parents[1]) == "manifest.json"


def test_a_link_is_replaced_atomically_and_may_replace_a_folder(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "bin").mkdir()
    replace_link(tmp_path / "bin", "one")
    replace_link(tmp_path / "bin", "two")
    assert os.readlink(tmp_path / "bin") == "two"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "one"]


def test_nothing_is_deleted_under_a_mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "a b"
    root.mkdir()
    table = tmp_path / "mounts"
    table.write_text(f"proc {tmp_path}/a\\040b/proc proc rw 0 0\nx {tmp_path}/a\\040bc none rw 0 0\n")
    found = mounts_below(root, table)
    assert found == [f"{tmp_path}/a b/proc"]
    monkeypatch.setattr("toolchain.cache.mounts_below", lambda *_: found)
    with pytest.raises(progress.Failure, match="deleting"):
        remove_tree(root)
    assert root.exists()


# --- the lock


def test_a_second_run_waits_and_prints_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    order: list[str] = []

    def second() -> None:
        with exclusive_lock(tmp_path):
            order.append("second")

    with exclusive_lock(tmp_path):
        waiting = threading.Thread(target=second)
        waiting.start()
        deadline = time.monotonic() + 5
        while "waiting" not in capsys.readouterr().err and time.monotonic() < deadline:
            time.sleep(0.01)
        order.append("first")
    waiting.join(5)
    assert order == ["first", "second"]


def test_a_dead_run_does_not_hold_the_lock(tmp_path: Path) -> None:
    code = "import os, sys; from pathlib import Path; from toolchain.cache import exclusive_lock\n"
    code += f"with exclusive_lock(Path({str(tmp_path)!r})): os._exit(9)"
    assert subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, check=False).returncode == 9
    with exclusive_lock(tmp_path):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_an_unwritable_cache_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(progress.Failure, match="writing to the cache"), exclusive_lock(tmp_path / "file" / "cache"):
        pass

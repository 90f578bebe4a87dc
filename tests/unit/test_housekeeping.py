"""Housekeeping: the service, which files are somebody's own, and what follows from how a round went.

The rows are PostgreSQL's: server/tests/test_retention.py.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from unittest.mock import MagicMock

import psycopg
import pytest

from components.engine import probing
from components.engine.workload import Probe
from mlflow_postgres.retention import command as collecting
from mlflow_postgres.retention.files import Removed, folder_of, remove, remove_empty
from mlflow_postgres.retention.items import LIMIT, Item, Kind
from mlflow_postgres.retention.removal import Removal
from mlflow_postgres.retention.uploads import PREFIX, remove_unfinished

from .deploy import deploy, everything

RUN = "98be04701d1e450f8a8c22a54a814acc"
URI = "postgresql://mlflow@postgres:5432/mlflow"


def test_without_a_number_of_days_there_is_no_retention() -> None:
    assert not any("housekeeping" in name for name in deploy().registered)


def test_the_service_uses_the_servers_database_and_volume() -> None:
    service, server = (everything(gc_after_days=7).container(role) for role in ("gc", "mlflow"))
    assert service.inputs["command"] == ["collect-deleted", "7"]
    assert service.mounted["/mlartifacts"] == server.mounted["/mlartifacts"]
    assert service.environment == {
        key: server.environment[key] for key in ("MLFLOW_BACKEND_STORE_URI", "PGPASSFILE")
    }, "as the server: the owner could drop tables, and the keys to what is encrypted are none of its business"


def test_it_is_unhealthy_after_a_failed_round_but_ready_before_the_first(tmp_path: Path) -> None:
    probe = everything().container("gc").inputs["healthcheck"]
    ready = tmp_path / "ready"
    well = probe["tests"][-1].replace("/dev/shm/ready", str(ready))
    assert well != probe["tests"][-1]
    assert "/dev/shm/ready" in probing.command(Probe(command=[]))[2], "the mark of who was found ready"

    def look() -> tuple[int, str]:
        done = subprocess.run(
            ["sh", "-c", well], env={"HOME": str(tmp_path)}, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout

    assert look()[0] != 0, "it has not looked at the database"
    (tmp_path / collecting.READY).touch()
    (tmp_path / collecting.FAILED).write_text("why")
    assert look() == (0, ""), "who brings the stack up is not stopped by one item that cannot be removed"
    ready.touch()
    assert look() == (1, "why")
    (tmp_path / collecting.FAILED).unlink()
    assert look() == (0, "")
    assert probe["startPeriod"] == "20s", "in these an engine does not count what fails"


@pytest.mark.parametrize("address", [
    "mlflow-artifacts:/",
    "mlflow-artifacts:",
    "mlflow-artifacts://elsewhere/1/run",
    "mlflow-artifacts:/1/../run",
    "mlflow-artifacts:/1/%2e%2e/run",
    "mlflow-artifacts:/1/run?x=1",
    "mlflow-artifacts:/1/run#x",
    "s3://bucket/1/run",
    "file:///mlartifacts/1/run",
    "/mlartifacts/1/run",
])  # fmt: skip
def test_an_address_elsewhere_or_of_the_whole_store_has_no_folder(tmp_path: Path, address: str) -> None:
    assert folder_of(tmp_path, address) is None


def test_an_items_own_folder_is_removed_with_its_contents(tmp_path: Path) -> None:
    folder = tmp_path / "1" / RUN / "artifacts"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a.txt").write_text("four")
    (folder / "link").symlink_to(tmp_path / "other")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "kept").touch()
    size = 4 + (folder / "link").lstat().st_size
    assert remove(tmp_path, f"mlflow-artifacts:/1/{RUN}/artifacts", RUN) == Removed(2, size)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["1", "kept", "other"], "a link is not followed"


@pytest.mark.parametrize("address", ["mlflow-artifacts:/1/shared", f"s3://bucket/1/{RUN}/artifacts"])
def test_a_shared_folder_is_kept_with_the_reason(tmp_path: Path, address: str) -> None:
    (tmp_path / "1" / "shared").mkdir(parents=True)
    removed = remove(tmp_path, address, RUN)
    assert removed.kept_because == f"its files are kept: {address} is not a folder of its own in the artifact store"
    assert (tmp_path / "1" / "shared").exists()


@pytest.mark.parametrize(
    ("trace", "address"),
    [
        ("1", "mlflow-artifacts:/1"),
        (RUN, f"mlflow-artifacts:/1/{RUN}/artifacts"),
        ("traces", "mlflow-artifacts:/1/traces"),
    ],
)
def test_a_chosen_trace_id_cannot_remove_another_folder(tmp_path: Path, trace: str, address: str) -> None:
    (tmp_path / "1" / RUN / "artifacts").mkdir(parents=True)
    (tmp_path / "1" / "traces" / "tr-1" / "artifacts").mkdir(parents=True)
    assert "its files are kept" in remove(tmp_path, address, trace, "traces").kept_because
    assert remove(tmp_path, "mlflow-artifacts:/1/traces/tr-1/artifacts", "tr-1", "traces") == Removed(0, 0)
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted(["1", RUN, "artifacts", "traces"])


def test_a_folder_behind_a_symbolic_link_is_kept(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere" / RUN / "artifacts"
    elsewhere.mkdir(parents=True)
    (tmp_path / "1").symlink_to(tmp_path / "elsewhere")
    assert "contains a symbolic link" in remove(tmp_path, f"mlflow-artifacts:/1/{RUN}/artifacts", RUN).kept_because
    assert elsewhere.exists()


def test_an_item_without_files_removes_nothing(tmp_path: Path) -> None:
    assert remove(tmp_path, f"mlflow-artifacts:/1/{RUN}/artifacts", RUN) == Removed()
    assert remove(tmp_path, None, RUN) == Removed()


def test_only_empty_folders_are_removed(tmp_path: Path) -> None:
    (tmp_path / "1" / "models").mkdir(parents=True)
    (tmp_path / "1" / "kept").touch()
    remove_empty(tmp_path / "1" / "models", tmp_path / "1" / "traces", tmp_path / "1")
    assert [path.name for path in tmp_path.rglob("*")] == ["1", "kept"]


def test_a_removal_has_no_idle_in_transaction_timeout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    connection = MagicMock()
    connection.__enter__.return_value = connection
    monkeypatch.setattr(collecting, "connect", lambda *_: connection)
    monkeypatch.setattr(collecting, "value", lambda *_: False)
    with pytest.raises(collecting.Postponed):
        collecting.run_round(URI, 1, collecting.Progress(), tmp_path, tmp_path)
    assert connection.execute.call_args.args == ("SET idle_in_transaction_session_timeout = 0",), (
        "cut off in the middle, files are gone and their run can be restored"
    )


def test_a_successful_round_is_followed_by_one_a_day_later(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / collecting.FAILED).write_text("why")
    assert after(monkeypatch, tmp_path, collecting.Round(removed=3, kept=1)) == 24 * 3600
    assert not (tmp_path / collecting.FAILED).exists()


def test_a_round_that_reached_its_limit_continues_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert after(monkeypatch, tmp_path, collecting.Round(removed=1000, cut_short=True)) == 5


@pytest.mark.parametrize(
    ("ended", "pause", "why"),
    [
        (collecting.Round(removed=3, failed=2), 600, "2 could not be removed; the log has the reasons"),
        (psycopg.OperationalError("the server\nis gone"), 60, "the server is gone"),
        (psycopg.DataError("no\nDETAIL:  Failing row contains (hash)"), 60, "no DETAIL:"),
    ],
)
def test_a_failed_round_is_reported_and_repeated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ended: collecting.Round | Exception, pause: int, why: str
) -> None:
    assert after(monkeypatch, tmp_path, ended) == pause
    assert (tmp_path / collecting.FAILED).read_text() == why


def test_a_postponed_round_is_repeated_and_changes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / collecting.FAILED).write_text("why")
    assert after(monkeypatch, tmp_path, collecting.Postponed()) == 60
    assert (tmp_path / collecting.FAILED).read_text() == "why"


def after(monkeypatch: pytest.MonkeyPatch, state: Path, ended: collecting.Round | Exception) -> int:
    """The pause after a round that ended in some way."""

    def work(*_: object) -> collecting.Round:
        if isinstance(ended, Exception):
            raise ended
        return ended

    monkeypatch.setattr(collecting, "run_round", work)
    return collecting.attempt_round(URI, 30, collecting.Progress(), state, state)


def test_rounds_continue_after_any_number_of_failed_items(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A thousand of them stood before all others, and with them retention was at its end for ever."""
    stuck = [Item(f"{number:04}", None, None) for number in range(2 * LIMIT)]
    free = Item("9999", None, None)
    removed: list[str] = []

    def due_of(_: object, kind: Kind, __: int, after: str) -> list[Item]:
        left = [item for item in [*stuck, free] if item.id > after and item.id not in removed]
        return left[:LIMIT] if kind.name == "run" else []

    def remove_one(_: object, __: object, ___: int, item: Item, ____: Path) -> str:
        if item is not free:
            raise PermissionError(item.id)
        removed.append(item.id)
        return "removed"

    connection = MagicMock()
    connection.__enter__.return_value = connection
    connection.closed = False
    for name, stand_in in (
        ("connect", lambda *_: connection),
        ("value", lambda *_: True),
        ("plan_removal", lambda _, kind: Removal(kind, ())),
        ("used", lambda *_: []),
        ("due", due_of),
        ("remove", remove_one),
    ):
        monkeypatch.setattr(collecting, name, stand_in)
    progress = collecting.Progress()
    pauses = [collecting.attempt_round(URI, 30, progress, tmp_path, tmp_path) for _ in range(3)]
    assert removed == [free.id]
    assert pauses == [5, 5, 600], "what is left is tried again later, from the first on"
    assert (tmp_path / collecting.FAILED).read_text() == f"{2 * LIMIT} could not be removed; the log has the reasons"
    assert progress == collecting.Progress()


def test_files_of_interrupted_uploads_are_removed_and_running_ones_kept(tmp_path: Path) -> None:
    now = time.time()
    for name, age in (
        (".artifact.uploading.abcdefgh", 100),
        (".artifact.uploading.ijklmnop", 10),
        ("artifact.uploading.mine", 100),
        ("model.bin", 100),
    ):
        for folder in (tmp_path, tmp_path / "1" / RUN / "artifacts"):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("four")
            os.utime(folder / name, (now - age, now - age))
    (tmp_path / f"{PREFIX}folder").mkdir()
    (tmp_path / f"{PREFIX}link").symlink_to(tmp_path / "model.bin")
    assert remove_unfinished(tmp_path, now - 50) == Removed(2, 8)
    left = sorted({path.name for path in tmp_path.rglob("*") if path.is_file() and not path.is_symlink()})
    assert left == [".artifact.uploading.ijklmnop", "artifact.uploading.mine", "model.bin"]

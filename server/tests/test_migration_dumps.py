"""Dumps of the schema job: their names, what is listed, and which are put back."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from contract.dumps import Dump
from mlflow_postgres.errors import Failed, Refused
from mlflow_postgres.migration import dump, restore

NAME = "before-3.17.2-20261124T103000Z"


def kept(folder: Path, name: str, created: str, content: bytes = b"archive") -> None:
    archive = folder / f"{name}.dump"
    archive.write_bytes(content)
    sidecar = Dump(
        name=name,
        created=created,
        database="mlflow",
        from_revision="a",
        to_revision="b",
        from_version="3.6.0",
        to_version="3.17.2",
        size=len(content),
        sha256=dump.checksum(archive),
    )
    # Of a newer image, too.
    (folder / f"{name}.json").write_text(json.dumps({**asdict(sidecar), "newer": True}))


def test_a_dump_is_named_after_what_came_next_and_when_in_utc() -> None:
    noon = datetime(2026, 11, 24, 12, 30, tzinfo=timezone(timedelta(hours=2)))
    assert dump.name_at("3.17.2", noon) == NAME


def test_dumps_are_listed_newest_first_and_only_when_their_archive_is_there(tmp_path: Path) -> None:
    kept(tmp_path, "before-3.17.2-20261124T103000Z", "2026-11-24T10:30:00+00:00")
    kept(tmp_path, "before-rollback-20261125T103000Z", "2026-11-25T10:30:00+00:00")
    (tmp_path / "before-3.18.0-20261126T103000Z.json").write_text('{"created": "2026-11-26T10:30:00+00:00"}')
    (tmp_path / ".partial-before-3.18.0-20261127T103000Z.json").write_text("{")
    assert [sidecar.name for sidecar in dump.list_dumps(tmp_path)] == [
        "before-rollback-20261125T103000Z",
        "before-3.17.2-20261124T103000Z",
    ]


def test_a_dump_whose_archive_is_gone_or_cut_short_is_told_to_whoever_asks(tmp_path: Path) -> None:
    kept(tmp_path, "before-3.17.2-20261124T103000Z", "2026-11-24T10:30:00+00:00")
    kept(tmp_path, "before-3.18.0-20261126T103000Z", "2026-11-26T10:30:00+00:00")
    (tmp_path / "before-3.18.0-20261126T103000Z.dump").unlink()
    assert [sidecar.bytes_there for sidecar in dump.list_dumps(tmp_path, lost=True)] == [None, len(b"archive")]


def test_what_a_killed_job_left_is_removed_and_finished_dumps_stay(tmp_path: Path) -> None:
    kept(tmp_path, NAME, "2026-11-24T10:30:00+00:00")
    (tmp_path / f"{dump.PARTIAL}{NAME}.dump").write_bytes(b"half")
    dump.remove_partial_files(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {f"{NAME}.dump", f"{NAME}.json"}


def programs(folder: Path, **scripts: str) -> None:
    """Programs of PostgreSQL's in a folder that is looked into first."""
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("psql", "pg_restore", "reason"),
    [
        ("cat >/dev/null; kill -9 $$", "echo SELECT 1", "psql ended with exit code -9 and printed no error"),
        ("exec <&-; kill -9 $$", "yes", "psql ended with exit code -9 and printed no error"),
        ("cat >/dev/null; exit 3", "exit 1", "psql ended with exit code 3 and printed no error"),
        ("cat >/dev/null", "echo it is torn >&2; exit 1", "it is torn"),
        ("cat >/dev/null; echo ERROR: taken >&2; exit 3", "exit 0", "ERROR: taken"),
    ],
)
def test_a_dump_that_was_not_put_back_is_named_whatever_died(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, psql: str, pg_restore: str, reason: str
) -> None:
    programs(tmp_path, psql=psql, pg_restore=f"[ $1 = --list ] || {{ {pg_restore}; }}")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(dump, "verify", lambda *_: (tmp_path / "archive", ["one"]))
    connection: Any = SimpleNamespace(info=SimpleNamespace(server_version=170012))
    job: Any = SimpleNamespace(
        database_uri="postgresql://", server_role="server", readonly_role="reader", private_tables=("users",)
    )
    with pytest.raises(Failed) as error:
        restore.restore(connection, job, NAME)
    assert str(error.value).startswith(f"the dump {NAME} was not restored ({reason}); the database is unchanged")


@pytest.mark.parametrize("name", ["before-3.6.0-20261124T103000Z", "../keys/kek-2", ""])
def test_a_dump_that_is_not_listed_is_refused_with_those_that_are(tmp_path: Path, name: str) -> None:
    kept(tmp_path, NAME, "2026-11-24T10:30:00+00:00")
    with pytest.raises(Refused, match=f"there is no dump '{name}': the backups volume holds {NAME}"):
        dump.verify(name, 170012, tmp_path)


def test_a_dump_that_was_changed_on_disk_is_refused(tmp_path: Path) -> None:
    kept(tmp_path, NAME, "2026-11-24T10:30:00+00:00")
    (tmp_path / f"{NAME}.dump").write_bytes(b"other")
    with pytest.raises(Refused, match="its checksum differs; nothing was changed"):
        dump.verify(NAME, 170012, tmp_path)


def test_all_of_a_dump_is_put_back_but_the_schema_that_was_never_away() -> None:
    table = "215; 1259 16388 TABLE public runs mlflow_owner"
    ours = "6; 2615 16387 SCHEMA - mlflow_postgres mlflow_owner"
    comment = "6; 0 0 COMMENT - SCHEMA public pg_database_owner"
    assert restore.restored_entries(
        ["; Archive", "", comment, "5; 2615 2200 SCHEMA - public pg_database_owner", ours, table]
    ) == [
        ours,
        table,
    ]


def test_a_moment_without_seconds_of_its_own_still_sorts() -> None:
    assert dump.name_at("rollback", datetime(2026, 1, 2, tzinfo=UTC)) == "before-rollback-20260102T000000Z"

"""Old runs come along: everything that MLflow's client sees is the same here, or nothing was changed at all.

server/tests has what becomes of ids, names, links and values, and what is refused.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .harness import Deployment
from .old_stores import (
    OldStore,
    add_links_to_secrets,
    assert_same,
    contents,
    in_a_database,
    make_store,
    refusal,
    with_names,
)


@pytest.fixture(scope="module")
def new(empty_stack: Deployment) -> Deployment:
    return empty_stack


@pytest.fixture(scope="module")
def old(new: Deployment, tmp_path_factory: pytest.TempPathFactory) -> OldStore:
    store = make_store(new, tmp_path_factory.mktemp("old"), "sqlite", "old")
    add_links_to_secrets(store.path.parent / "mlruns")
    return store


def test_a_dry_run_says_what_would_come_and_changes_nothing(new: Deployment, old: OldStore) -> None:
    before, digest = contents(new), old.path.read_bytes()
    printed = new.ops("import", "--dry-run", str(old.path))
    counted = {line.split()[0]: int(line.split()[1]) for line in printed.splitlines() if line.endswith(" rows")}
    assert (counted["experiments"], counted["runs"], counted["metrics"], counted["spans"]) == (3, 4, 206, 2)
    assert contents(new) == before
    assert old.path.read_bytes() == digest


def test_everything_of_a_sqlite_store_is_the_same_here(new: Deployment, old: OldStore) -> None:
    digest, files = old.path.read_bytes(), sorted(old.path.parent.rglob("*"))
    printed = new.ops("import", str(old.path))
    assert "same on both sides: metrics, 206 rows" in printed
    assert "DIFFERENT" not in printed
    assert "/artifacts/link' is a symbolic link: not imported" in printed
    assert_same(contents(new), old.contents)
    assert (old.path.read_bytes(), sorted(old.path.parent.rglob("*"))) == (digest, files), "only read"


def test_the_comparison_is_kept_beside_the_dumps(new: Deployment) -> None:
    volumes = {f"{new.prefix}-backups": "/backups"}
    report = json.loads(new.run_once("schema", "sh", "-c", "cat /backups/import-*.json", volumes=volumes))
    assert all(table["same"] for table in report["tables"])
    assert report["experiments"]["0"] == 0


def test_a_second_time_is_refused(new: Deployment, old: OldStore) -> None:
    assert "already imported" in refusal(new, str(old.path))


def test_a_folder_is_imported_beside_what_is_there(new: Deployment, tmp_path: Path) -> None:
    folder = make_store(new, tmp_path, "folder", "folder")
    add_links_to_secrets(folder.path)
    before = contents(new)
    printed = new.ops("import", "--clash", "rename", str(folder.path))
    assert "/tags/link' is a symbolic link: not imported" in printed
    after = contents(new)
    assert_same(after, with_names(in_a_database(folder.contents), {"Default": "Default (imported)"}))
    for kind in ("experiments", "runs", "models", "traces"):
        assert {key: after[kind][key] for key in before[kind]} == before[kind]

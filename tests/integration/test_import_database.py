"""The tutorial's own PostgreSQL comes along as a file does; it is only read, and its password shows nowhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from .harness import Deployment, wait_for
from .old_databases import PASSWORD, Database, database
from .old_stores import assert_same, contents, import_containers, start_import


@pytest.fixture(scope="module")
def new(empty_stack: Deployment) -> Deployment:
    # Where the rows are meanwhile: in a folder of this test's own.
    empty_stack.environment["TMPDIR"] = str(empty_stack.folder)
    return empty_stack


@pytest.fixture(scope="module")
def old(new: Deployment) -> Iterator[Database]:
    with database(new) as made:
        yield made


def test_everything_of_a_database_is_the_same_here(new: Deployment, old: Database, tmp_path: Path) -> None:
    old.ask("postgres", "CREATE DATABASE tutorial")
    there = old.filled("tutorial", tmp_path)
    before = old.dumped("tutorial")
    address = old.address("tutorial", driver="+psycopg2")
    with start_import(new, "--artifacts-from", str(tmp_path / "mlruns"), address) as process:
        wait_for(lambda: bool(import_containers(new)) or process.poll() is not None, "an import")
        seen = [json.dumps(each.attrs) for each in import_containers(new)]
        printed = process.communicate()[0]
    assert process.returncode == 0, printed
    assert "read metrics: 206" in printed
    assert "same on both sides: metrics, 206 rows" in printed
    assert_same(contents(new), there)
    assert old.dumped("tutorial") == before
    assert seen
    assert all(PASSWORD not in each and address not in each for each in (*seen, printed))
    assert not list(new.folder.glob("mlflow-postgres-import-*"))

"""An import that is killed, whenever that is, has changed nothing, and the next one completes.

tests/integration has what a container, a volume or a signal decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from .imports import Target, execute, located, target
from .postgresql import Server

HOLD_COMMIT = """
CREATE FUNCTION hold_it() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER hold_it AFTER INSERT ON experiments DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION hold_it()
"""
HELD_AT_COMMIT = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 7 AND NOT granted"
OTHERS = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
KILLED = -9


@pytest.fixture
def stack(postgresql: Server, schema: str, tmp_path: Path) -> Iterator[Target]:
    with target(postgresql, "cut_short", schema, tmp_path / "stack") as made:
        yield made


@pytest.mark.parametrize(
    "moment",
    [
        '"phase": "examine"',
        '"phase": "write", "table": "artifacts"',
        '"phase": "write", "table": "metrics"',
        '"phase": "check", "table": "runs"',
        '"committing"',
    ],
)
def test_what_is_killed_has_changed_nothing_and_the_next_one_completes(
    stack: Target, old_store: Path, moment: str
) -> None:
    before = stack.rows()
    ended = stack.bring(old_store, located=located(old_store), killed_at=moment)
    assert ended.code == KILLED
    assert moment in ended.said
    assert stack.rows() == before
    compared = stack.brought(old_store, located=located(old_store)).compared()
    assert compared["runs"] == 4
    assert {Path(each).name for each in stack.files()} == {"a.txt", "b.bin"}
    assert list(stack.backups.glob("copied-*")) == []


def test_whatever_the_next_import_does_it_removes_what_a_killed_one_has_copied(
    stack: Target, old_store: Path, tmp_path: Path
) -> None:
    stack.bring(old_store, located=located(old_store), killed_at='"phase": "write", "table": "metrics"')
    assert stack.files()
    (note,) = stack.backups.iterdir()
    assert note.name.startswith("copied-")
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(old_store.read_bytes())
    execute(damaged, "UPDATE experiments SET creation_time = 'soon'")
    stack.bring(old_store, "--dry-run", located=located(old_store))
    assert stack.files(), "a dry run changes nothing"
    ended = stack.bring(damaged, located=located(damaged))
    assert "cannot be imported" in ended.error
    assert stack.everything()[1:] == ({}, [])


def test_over_the_commit_nobody_knows_and_it_is_all_or_nothing(stack: Target, old_store: Path) -> None:
    stack.ask(HOLD_COMMIT)
    with psycopg.connect(stack.server.uri(stack.database), autocommit=True) as session:
        session.execute("SELECT pg_advisory_lock(7)")
        running = stack.start(old_store, located=located(old_store))
        running.wait_for(lambda: session.execute(HELD_AT_COMMIT).fetchone() is not None)
        running.process.kill()
        ended = running.ended()
        assert ended.said.splitlines()[-1] == '{"committing": true}'
    # An import that nobody hears any more may yet be committed, or not.
    while stack.ask(OTHERS):
        pass
    names = {name for (name,) in stack.ask("SELECT name FROM experiments")}
    assert names in ({"Default"}, {"Default", "old-one", "old-deleted"})
    again = stack.bring(old_store, located=located(old_store))
    assert again.code == 0 if names == {"Default"} else "already imported" in again.error
    assert stack.ask("SELECT count(*) FROM runs") == [(4,)]
    assert {Path(each).name for each in stack.files()} == {"a.txt", "b.bin"}

"""An import that is cut short, whenever and by whatever, has changed nothing, and the next one completes."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from .harness import Deployment, wait_for
from .old_stores import (
    OldStore,
    add_metrics,
    assert_same,
    contents,
    execute_sqlite,
    has_reached,
    import_containers,
    make_store,
    only_experiments,
    start_import,
    with_names,
)
from .small_volumes import HELD, held_volume

MANY = 300_000
"""Metrics: seconds of writing."""

DATA, ARTIFACTS = "postgres-data", "mlflow-artifacts"

HOLD_COMMIT = """
CREATE FUNCTION hold_it() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER hold_it AFTER INSERT ON experiments DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION hold_it()
"""
HELD_AT_COMMIT = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 7 AND NOT granted"
IMPORTS = "SELECT 1 FROM pg_stat_activity WHERE usename = 'mlflow_owner' AND backend_type = 'client backend'"


@pytest.fixture(scope="module")
def new(small_volumes: Deployment) -> Deployment:
    return small_volumes


@pytest.fixture(scope="module")
def large(new: Deployment, tmp_path_factory: pytest.TempPathFactory) -> OldStore:
    return add_metrics(make_store(new, tmp_path_factory.mktemp("large"), "sqlite", "large"), MANY)


def is_copying(stack: Deployment) -> bool:
    return any(each.status == "running" for each in import_containers(stack))


def copies_artifacts(stack: Deployment) -> bool:
    return has_reached(stack, "write", "artifacts")


def writes(stack: Deployment) -> bool:
    return has_reached(stack, "write", "metrics")


def checks(stack: Deployment) -> bool:
    return has_reached(stack, "check", "runs")


def ended(
    stack: Deployment,
    moment: Callable[[Deployment], bool],
    how: Callable[[subprocess.Popen[str]], None],
    *arguments: str,
) -> str:
    """What an import says that was ended when a moment had come."""
    with start_import(stack, *arguments) as process:
        wait_for(lambda: moment(stack) or process.poll() is not None, "the moment to end it")
        assert process.poll() is None, process.communicate()[0]
        how(process)
        printed = process.communicate()[0]
    assert process.returncode == 1, printed
    return printed


def killed(stack: Deployment) -> None:
    (container,) = import_containers(stack)
    container.kill()


def found(stack: Deployment, role: str, name: str) -> set[str]:
    """What has a name in a volume."""
    with held_volume(stack, role) as holder:
        code, printed = holder.exec_run(["find", HELD, "-name", name], user="0:0")
    assert isinstance(printed, bytes)
    assert code == 0, printed
    return set(printed.decode().split())


@pytest.mark.parametrize("moment", [is_copying, copies_artifacts, writes, checks], ids=lambda each: each.__name__)
def test_what_is_killed_has_changed_nothing(
    new: Deployment, large: OldStore, moment: Callable[[Deployment], bool]
) -> None:
    before = contents(new)
    printed = ended(new, moment, lambda _: killed(new), str(large.path))
    assert "was interrupted with exit code 137; nothing was changed. Mend it with: the same import again" in printed
    assert import_containers(new) == []
    assert contents(new) == before


def interrupted(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)


def told_to_end(process: subprocess.Popen[str]) -> None:
    """As by a time limit or a machine that shuts down, which tell it and its group."""
    while process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.02)


@pytest.mark.parametrize("how", [interrupted, told_to_end], ids=lambda each: each.__name__)
def test_who_stops_it_is_told_that_nothing_was_changed(
    new: Deployment, large: OldStore, how: Callable[[subprocess.Popen[str]], None]
) -> None:
    before = contents(new)
    copies = set(new.folder.glob("mlflow-postgres-import-*"))
    printed = ended(new, writes, how, str(large.path))
    assert set(new.folder.glob("mlflow-postgres-import-*")) == copies, "a copy of the store is left"
    assert "was interrupted with exit code 137; nothing was changed. Mend it with: the same import again" in printed
    assert import_containers(new) == []
    assert contents(new) == before


def test_a_database_that_is_killed_meanwhile_is_as_it_was(new: Deployment, large: OldStore) -> None:
    before = contents(new)
    printed = ended(new, writes, lambda _: new.container("postgres").kill(), str(large.path))
    assert "; nothing was changed" in printed.splitlines()[-1]
    new.container("postgres").start()
    wait_for(new.answers, "an answer")
    assert contents(new) == before


@contextmanager
def filled(stack: Deployment, role: str, room: int) -> Iterator[None]:
    """A volume with so many bytes of room left."""
    path = f"{HELD}/ballast"
    rest = f"$(( $(df --output=avail -B1 {HELD} | tail -1) - {room} ))"
    with held_volume(stack, role) as holder:
        code, printed = holder.exec_run(["sh", "-c", f"head -c {rest} /dev/zero > {path}"], user="0:0")
        assert code == 0, printed
        try:
            yield
        finally:
            holder.exec_run(["rm", path], user="0:0")


@pytest.mark.parametrize(
    ("role", "room", "said"), [(DATA, 24 << 20, "nothing was changed"), (ARTIFACTS, 0, "No space left on device")]
)
def test_a_full_disk_leaves_all_as_it_was(new: Deployment, large: OldStore, role: str, room: int, said: str) -> None:
    before = contents(new)
    with filled(new, role, room), pytest.raises(AssertionError) as error:
        new.ops("import", str(large.path))
    last = str(error.value).splitlines()[-1]
    assert "No space left on device" in last or "server closed the connection" in last
    assert said in last
    wait_for(new.answers, "an answer")
    assert contents(new) == before
    if role == ARTIFACTS:
        assert found(new, ARTIFACTS, "artifacts") == set(), "what failed and what was killed before has left something"


def test_after_all_that_the_next_one_completes(new: Deployment, large: OldStore, tmp_path: Path) -> None:
    ended(new, writes, lambda _: killed(new), str(large.path))
    left = found(new, ARTIFACTS, "artifacts")
    assert left
    path = only_experiments(large, tmp_path)
    execute_sqlite(path, "UPDATE experiments SET creation_time = 'soon'")
    with pytest.raises(AssertionError, match="cannot be imported"):
        new.ops("import", str(path))
    assert found(new, ARTIFACTS, "artifacts") == set(), "whatever the next import does, it removes them"
    printed = new.ops("import", str(large.path))
    assert f"same on both sides: metrics, {MANY + 206:,} rows" in printed
    assert_same(contents(new), large.contents)
    assert found(new, ARTIFACTS, "artifacts") == left
    assert found(new, "backups", "copied-*") == set()


@contextmanager
def held_at_commit(stack: Deployment) -> Iterator[psycopg.Connection]:
    """Whoever makes an experiment waits at its commit, until this ends."""
    owner = ("psql", "-U", "mlflow_owner", "-d", "mlflow", "-v", "ON_ERROR_STOP=1", "-c")
    stack.execute("postgres", *owner, HOLD_COMMIT)
    try:
        with stack.database() as session:
            session.autocommit = True
            session.execute("SELECT pg_advisory_lock(7)")
            yield session
        # An import that nobody hears any more may yet be committed, or not.
        with stack.database() as session:
            session.autocommit = True
            wait_for(lambda: session.execute(IMPORTS).fetchone() is None, "the end of the import's session")
    finally:
        stack.execute("postgres", *owner, "DROP FUNCTION hold_it CASCADE")


@pytest.mark.parametrize("way", ["killed", "interrupted"])
def test_over_the_commit_nobody_knows_and_it_is_all_or_nothing(
    new: Deployment, large: OldStore, tmp_path: Path, way: str
) -> None:
    path = only_experiments(large, tmp_path)
    execute_sqlite(path, f"UPDATE experiments SET name = name || '-{way}'")
    before = contents(new)["experiments"]
    with held_at_commit(new) as session:
        printed = ended(
            new,
            lambda _: session.execute(HELD_AT_COMMIT).fetchone() is not None,
            lambda process: killed(new) if way == "killed" else process.send_signal(signal.SIGINT),
            str(path),
        )
    assert "it is not known whether it was committed. Mend it with: the same import again, which reports it" in printed
    assert "nothing was changed" not in printed
    assert len(set(contents(new)["experiments"]) - set(before)) in (0, 3)


def test_an_import_whose_command_is_killed_goes_on_and_the_next_one_says_so(new: Deployment, tmp_path: Path) -> None:
    store = add_metrics(make_store(new, tmp_path, "sqlite", "alone"), MANY)
    with start_import(new, "--clash", "rename", str(store.path)) as process:
        wait_for(lambda: writes(new) or process.poll() is not None, "metrics that are written")
        process.kill()
    with pytest.raises(AssertionError, match="already imported"):
        new.ops("import", "--clash", "rename", str(store.path))
    assert_same(contents(new), with_names(store.contents, {"Default": "Default (imported)"}))
    with pytest.raises(AssertionError, match="already imported"):
        new.ops("import", "--clash", "rename", str(store.path))
    assert import_containers(new) == [], "what was left is removed"

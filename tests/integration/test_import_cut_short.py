"""An import whose container, database or volume fails it has changed nothing, and the next one completes.

server/tests has the moments at which it may be killed.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from .harness import Deployment, wait_for
from .old_stores import (
    OldStore,
    add_metrics,
    assert_same,
    contents,
    has_reached,
    import_containers,
    make_store,
    start_import,
)
from .small_volumes import HELD, held_volume

MANY = 300_000
"""Metrics: seconds of writing."""

DATA, ARTIFACTS = "postgres-data", "mlflow-artifacts"


@pytest.fixture(scope="module")
def new(small_volumes: Deployment) -> Deployment:
    return small_volumes


@pytest.fixture(scope="module")
def large(new: Deployment, tmp_path_factory: pytest.TempPathFactory) -> OldStore:
    return add_metrics(make_store(new, tmp_path_factory.mktemp("large"), "sqlite", "large"), MANY)


def ended(stack: Deployment, how: Callable[[subprocess.Popen[str]], None], store: OldStore) -> str:
    """What an import says that was ended while it wrote."""
    with start_import(stack, str(store.path)) as process:
        wait_for(
            lambda: has_reached(stack, "write", "metrics") or process.poll() is not None, "metrics that are written"
        )
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


def test_what_is_killed_has_changed_nothing(new: Deployment, large: OldStore) -> None:
    before = contents(new)
    printed = ended(new, lambda _: killed(new), large)
    assert "was interrupted with exit code 137; nothing was changed. Mend it with: the same import again" in printed
    assert import_containers(new) == []
    assert contents(new) == before


def told_to_end(process: subprocess.Popen[str]) -> None:
    """As by a time limit or a machine that shuts down, which tell it and its group."""
    while process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.02)


def test_who_stops_it_is_told_that_nothing_was_changed(new: Deployment, large: OldStore) -> None:
    before = contents(new)
    copies = set(new.folder.glob("mlflow-postgres-import-*"))
    printed = ended(new, told_to_end, large)
    assert set(new.folder.glob("mlflow-postgres-import-*")) == copies, "a copy of the store is left"
    # On a busy machine the import ends by itself before it is killed.
    said = r"was interrupted with exit code (137|143); nothing was changed. Mend it with: the same import again"
    assert re.search(said, printed)
    assert import_containers(new) == []
    assert contents(new) == before


def test_a_database_that_is_killed_meanwhile_is_as_it_was(new: Deployment, large: OldStore) -> None:
    before = contents(new)
    printed = ended(new, lambda _: new.container("postgres").kill(), large)
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
    # The import removes first what an interrupted one has left, which would make room.
    with held_volume(new, ARTIFACTS) as holder:
        assert holder.exec_run(["find", HELD, "-mindepth", "1", "-delete"], user="0:0").exit_code == 0
    with filled(new, role, room), pytest.raises(AssertionError) as error:
        new.ops("import", str(large.path))
    last = str(error.value).splitlines()[-1]
    assert "No space left on device" in last or "server closed the connection" in last
    assert said in last
    wait_for(new.answers, "an answer")
    assert contents(new) == before
    if role == ARTIFACTS:
        assert found(new, ARTIFACTS, "artifacts") == set(), "what failed and what was killed before has left something"


def test_after_all_that_the_next_one_completes(new: Deployment, large: OldStore) -> None:
    ended(new, lambda _: killed(new), large)
    left = found(new, ARTIFACTS, "artifacts")
    assert left
    printed = new.ops("import", str(large.path))
    assert f"same on both sides: metrics, {MANY + 206:,} rows" in printed
    assert_same(contents(new), large.contents)
    assert found(new, ARTIFACTS, "artifacts") == left
    assert found(new, "backups", "copied-*") == set()

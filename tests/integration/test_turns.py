"""Two commands at once: one works and the others wait or refuse with words, and nothing that works is hurt."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from .doctor import checks
from .harness import Deployment, wait_for
from .old_stores import (
    OldStore,
    contents,
    execute_sqlite,
    import_containers,
    make_store,
    only_experiments,
    start_import,
    waits_for_experiments,
)


@pytest.fixture(scope="module")
def up(empty_stack: Deployment) -> Deployment:
    # The doctor's first call makes an experiment, which it then keeps.
    checks(empty_stack)
    return empty_stack


@pytest.fixture(scope="module")
def store(up: Deployment, tmp_path_factory: pytest.TempPathFactory) -> OldStore:
    return make_store(up, tmp_path_factory.mktemp("store"), "sqlite", "store")


def renamed(store: OldStore, folder: Path, name: str) -> tuple[Path, set[str]]:
    """A store with the experiments alone, and the names that they have there."""
    path = only_experiments(store, folder)
    execute_sqlite(path, f"UPDATE experiments SET name = name || '-{name}'")
    return path, {f"{each}-{name}" for each in store.contents["experiments"]}


@contextmanager
def held(stack: Deployment) -> Iterator[psycopg.Connection]:
    """An import waits before it writes, until this ends."""
    with stack.database() as session:
        session.execute("LOCK TABLE experiments IN ROW EXCLUSIVE MODE")
        with stack.database() as other:
            other.autocommit = True
            yield other
        session.rollback()


def imports(stack: Deployment, path: Path) -> subprocess.Popen[str]:
    return start_import(stack, "--clash", "rename", str(path))


def brings_up(stack: Deployment) -> subprocess.Popen[str]:
    return stack.start("up", "--yes", "--skip-preview", "--stack", stack.name)


def said(process: subprocess.Popen[str], words: str) -> str:
    """The line that says so; a test fails when the process ends without it."""
    assert process.stdout
    for line in process.stdout:
        if words in line:
            return line
    raise AssertionError(f"it ended without a word of {words!r}")


def ended_well(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        printed = process.communicate()[0]
        assert process.returncode == 0, printed


def helpers(stack: Deployment) -> set[str]:
    """What our own commands run beside the stack at the moment."""
    own = {f"{stack.prefix}-{role}" for role in ("postgres", "schema", "mlflow", "adminer")}
    return stack.objects()["containers"] - own - {f"{name}-courier" for name in own}


def test_while_an_import_works_others_wait_or_refuse_and_it_is_committed(
    up: Deployment, store: OldStore, tmp_path: Path
) -> None:
    second, names = renamed(store, tmp_path, "second")
    with held(up) as session:
        one = imports(up, store.path)
        wait_for(lambda: waits_for_experiments(session) or one.poll() is not None, "an import that works")
        others = [brings_up(up), imports(up, second)]
        who = f"import (process {one.pid}, since "
        for each in others:
            assert said(each, "waiting for it to end").startswith(who)
        for command in ("rollback", "forget"):
            with pytest.raises(
                AssertionError,
                match=rf"works on the stack {up.name}; nothing was touched: wait until it has ended\. Mend it",
            ):
                up.ops(command)
        refused = up.pulumi("destroy", "--yes", "--skip-preview", "--stack", up.name, fails=True)
        assert f"bin/pulumi: [stack-busy] {who}" in refused
        assert checks(up)["dumps"]["state"] == "ok"
        (container,) = import_containers(up)
        assert helpers(up) == {container.name}, "the doctor leaves nothing"
    ended_well(one, *others)
    found = contents(up)
    assert set(store.contents["runs"]) <= set(found["runs"])
    assert names <= set(found["experiments"])
    assert helpers(up) == set()


def test_an_import_whose_command_is_killed_is_waited_for_by_an_up(
    up: Deployment, store: OldStore, tmp_path: Path
) -> None:
    path, names = renamed(store, tmp_path, "third")
    with held(up) as session:
        with imports(up, path) as killed:
            wait_for(lambda: waits_for_experiments(session) or killed.poll() is not None, "an import that works")
            killed.kill()
        (container,) = import_containers(up)
        with pytest.raises(
            AssertionError, match=rf"{container.name} still works on the stack .* and was killed; nothing"
        ):
            up.ops("rollback")
        waiting = brings_up(up)
        assert said(waiting, f"waiting for {container.name} to end").endswith("import has started it, and was killed\n")
        container.reload()
        assert container.status == "running"
    ended_well(waiting)
    assert names <= set(contents(up)["experiments"])
    assert helpers(up) == set(), "what was left has gone"


def test_of_two_runs_of_pulumi_the_second_waits_for_the_first(up: Deployment) -> None:
    first = brings_up(up)
    wait_for(
        lambda: any((up.state / ".pulumi" / "locks").rglob("*.json")) or first.poll() is not None, "a run that works"
    )
    second = brings_up(up)
    assert said(second, "waiting for it to end").startswith(f"up (process {first.pid}, since ")
    ended_well(first, second)
    up.preview_unchanged()

"""Stores of MLflow's to import, and what MLflow's client reads from them and from the stack."""

from __future__ import annotations

import io
import json
import sqlite3
import subprocess
import sys
import tarfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from docker.models.containers import Container

from contract.labels import ROLE, STACK
from contract.roles import IMPORT

from .harness import ROOT, Deployment

SCRIPT = (ROOT / "server" / "tests" / "import_store.py").read_text()
HERE = "http://127.0.0.1:5000"
KEPT = ("experiments", "workspaces", "alembic_version")
"""Tables of a store in which there are experiments, and nothing in them."""

Contents = dict[str, Any]


@dataclass(frozen=True)
class OldStore:
    """A store on this machine, and what MLflow's client read from it."""

    path: Path
    contents: Contents


def make_store(stack: Deployment, folder: Path, kind: str, prefix: str) -> OldStore:
    """A store that MLflow made in the container, copied to this machine, so that its artifact paths no longer fit."""
    room = f"/tmp/{prefix}"
    uri = f"sqlite:///{room}/mlflow.db" if kind == "sqlite" else f"file://{room}/mlruns"
    # Without a server, artifacts go to ./mlruns.
    # A stack may serve several modules, and each makes stores of these names.
    inside = ["sh", "-c", f'rm -rf {room}; mkdir {room}; cd {room}; exec python -c "$@"', "sh", SCRIPT]
    stack.execute("mlflow", *inside, "make", uri, prefix)
    contents = json.loads(last_line(stack, "sh", "-c", f'cd {room}; exec python -c "$@"', "sh", SCRIPT, "show", uri))
    return OldStore(
        copy_from_container(stack, room, folder) / ("mlflow.db" if kind == "sqlite" else "mlruns"), contents
    )


def copy_from_container(stack: Deployment, path: str, folder: Path) -> Path:
    """Copy a folder of MLflow's container into a folder of this machine."""
    chunks, _ = stack.container("mlflow").get_archive(path)
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
        archive.extractall(folder, filter="data")
    return folder / Path(path).name


def last_line(stack: Deployment, *command: str) -> str:
    """The last line that a command prints in MLflow's container."""
    return stack.execute("mlflow", *command).strip().splitlines()[-1]


def contents(stack: Deployment) -> Contents:
    found: Contents = json.loads(last_line(stack, "python", "-c", SCRIPT, "show", HERE))
    return found


def refusal(stack: Deployment, *arguments: str) -> str:
    """The one line that a failed import prints. It must have changed nothing."""
    before = contents(stack)
    with pytest.raises(AssertionError) as error:
        stack.ops("import", *arguments)
    assert contents(stack) == before
    lines = [line for line in str(error.value).splitlines() if line.startswith("ops import: ")]
    assert len(lines) == 1, str(error.value)
    return lines[0]


def add_links_to_secrets(store: Path) -> None:
    """Add symbolic links that an attacker would like the import to follow."""
    for artifacts in list(store.glob("*/*/artifacts")):
        (artifacts / "link").symlink_to("/keys")
    for tags in list(store.glob("*/*/tags")):
        (tags / "link").symlink_to("/proc/self/environ")
    for folder in list(store.glob("[0-9]*")):
        (folder / "link").symlink_to("/")


def assert_same(here: Contents, there: Contents) -> None:
    """Compare field by field. Only the artifact addresses differ: the server gives its own."""
    for name, (*fields, number) in there["experiments"].items():
        assert here["experiments"][name][:-1] == fields
        assert here["locations"][name] == f"mlflow-artifacts:/{here['experiments'][name][-1]}", number
    for run, expected in there["runs"].items():
        found = here["runs"][run]
        number = here["experiments"][found["experiment"]][-1]
        assert found == {**expected, "uri": f"mlflow-artifacts:/{number}/{run}/artifacts"}
    for name, model in there["models"].items():
        (run,) = {version[1] for version in model["versions"]}
        assert here["models"][name] == {**model, "sources": [f"{here['runs'][run]['uri']}/files"]}
    assert {key: here["traces"][key] for key in there["traces"]} == there["traces"]
    for kind in ("prompts", "prompted", "datasets"):
        for name, linked in there.get(kind, {}).items():
            assert here[kind][name] == linked, f"{kind} of {name}"
    assert len(there["runs"]) == 4
    assert len(there["traces"]) == 1


def only_experiments(old: OldStore, folder: Path) -> Path:
    """A copy of the store that has its experiments and nothing in them."""
    path = folder / "experiments.db"
    path.write_bytes(old.path.read_bytes())
    with closing(sqlite3.connect(path)) as connection:
        found = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    execute_sqlite(path, *(f"DELETE FROM {name}" for name in found if name not in KEPT))
    return path


def waits_for_experiments(session: psycopg.Connection) -> bool:
    query = (
        "SELECT 1 FROM pg_locks WHERE relation = 'experiments'::regclass"
        " AND mode = 'ShareRowExclusiveLock' AND NOT granted"
    )
    return session.execute(query).fetchone() is not None


def in_a_database(found: Contents) -> Contents:
    """The contents of a folder after MLflow's own conversion: a database has no infinity, and SQLite no -0.0."""
    text = json.dumps(found).replace('"inf"', f'"{sys.float_info.max!r}"').replace('"-0.0"', '"0.0"')
    converted: Contents = json.loads(text)
    return converted


def with_names(found: Contents, names: dict[str, str]) -> Contents:
    """The contents with other names for experiments and models."""
    return {
        **found,
        **{
            kind: {names.get(name, name): each for name, each in found.get(kind, {}).items()}
            for kind in ("experiments", "locations", "models", "datasets")
        },
        "runs": {
            run: {**each, "experiment": names.get(each["experiment"], each["experiment"])}
            for run, each in found["runs"].items()
        },
    }


def execute_sqlite(path: Path, *orders: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for order in orders:
            connection.execute(order)
        connection.commit()


def start_import(stack: Deployment, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [ROOT / ".venv" / "bin" / "python", "-m", "ops", "import", "--stack", stack.name, *arguments],
        cwd=stack.project,
        env=stack.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def import_containers(stack: Deployment) -> list[Container]:
    """The containers of imports, running or not."""
    mine: dict[str, Any] = {"label": [f"{STACK}={stack.prefix}", f"{ROLE}={IMPORT}"]}
    return stack.engine.containers.list(all=True, filters=mine, ignore_removed=True)


def has_reached(stack: Deployment, phase: str, what: str) -> bool:
    """Whether an import has started to write, or to check, a table."""
    return any(f'"phase": "{phase}", "table": "{what}"'.encode() in each.logs() for each in import_containers(stack))


def add_metrics(old: OldStore, count: int) -> OldStore:
    """Add metrics to the store, so that writing them takes seconds."""
    run = next(run for run, each in old.contents["runs"].items() if "loss" in each["history"])
    with closing(sqlite3.connect(old.path)) as connection:
        points = (("more", float(step), step, step, False, run) for step in range(count))
        columns = "key, value, timestamp, step, is_nan, run_uuid"
        connection.executemany(f"INSERT INTO metrics ({columns}) VALUES (?, ?, ?, ?, ?, ?)", points)
        connection.commit()
    return old

"""An import on the bare PostgreSQL: in a process of its own, with what a container of an import is given."""

from __future__ import annotations

import importlib
import io
import itertools
import multiprocessing
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psycopg
import sqlalchemy

from contract import environment, import_events, locations
from mlflow_postgres.importing import command
from mlflow_postgres.importing.options import Folders

from .postgresql import Server

Rows = Mapping[str, set[str]]
"""By table, every row as JSON."""

NOWHERE = locations.Locations(folders={}, empty=[])
"""Of no artifact is it known where it is."""

# MLflow is imported once, by the process that all of these are forked from.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(
    ["mlflow.genai.datasets", "mlflow.server.auth.sqlalchemy_store", "mlflow.store.db.utils"]
)
_NUMBERS = itertools.count(1)
_LONGEST = 120
"""Seconds that a process may take."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How an import ended."""

    code: int | None
    said: str
    """All that it printed."""
    error: str
    """The last line of standard error."""

    def notes(self) -> list[str]:
        """What it told the user."""
        events = map(import_events.parse, self.said.splitlines())
        return [each.note for each in events if isinstance(each, import_events.Note)]

    def compared(self) -> dict[str, int]:
        """Rows by table that were the same on both sides."""
        events = map(import_events.parse, self.said.splitlines())
        found = [each.compared for each in events if isinstance(each, import_events.Compared)]
        assert all(each.same for each in found), self.said
        return {each.table: each.rows for each in found}

    def planned(self) -> import_events.Plan:
        """What it was going to do."""
        events = map(import_events.parse, self.said.splitlines())
        (found,) = (each for each in events if isinstance(each, import_events.Plan))
        return found


class Running:
    """An import that has been started."""

    def __init__(self, process: Any, output: Path) -> None:
        self.process = process
        self._output = output

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds, which must be so before its end."""
        while not condition():
            assert self.process.is_alive(), self._said("out")
            time.sleep(0.02)

    def ended(self) -> Ended:
        """Wait for its end."""
        self.process.join(_LONGEST)
        assert self.process.exitcode is not None, f"it does not end: {self._said('out')}"
        errors = self._said("err").strip().splitlines()
        return Ended(code=self.process.exitcode, said=self._said("out"), error=errors[-1] if errors else "")

    def _said(self, which: str) -> str:
        return self._output.with_suffix(f".{which}").read_text()


@dataclass(frozen=True)
class Target:
    """A database, and the volumes of a stack."""

    server: Server
    database: str
    folder: Path
    sign_in: bool = False

    def __post_init__(self) -> None:
        for each in (self.artifacts, self.backups):
            each.mkdir(parents=True, exist_ok=True)

    @property
    def artifacts(self) -> Path:
        return self.folder / "artifacts"

    @property
    def backups(self) -> Path:
        return self.folder / "backups"

    @property
    def uri(self) -> str:
        """For MLflow."""
        return self.server.store_uri(self.database)

    def start(self, store: Path, *options: str, located: locations.Locations = NOWHERE, killed_at: str = "") -> Running:
        """Start it. With `killed_at`, it is killed as soon as it has printed that."""
        output = self.folder / f"import-{next(_NUMBERS)}"
        output.mkdir()
        file = output / "locations.json"
        file.write_text(locations.dump(located))
        arguments = ["--shown", str(store), "--locations", str(file), "--file", store.name, *options]
        process = _PROCESSES.Process(
            target=_run,
            args=(
                arguments,
                Folders(
                    source=store.parent,
                    artifacts=self.artifacts,
                    backups=self.backups,
                    scratch=output / "scratch",
                ),
                self._environment(),
                output / "import",
                killed_at,
            ),
            # One that a failed test leaves is ended with pytest.
            daemon=True,
        )
        process.start()
        return Running(process, output / "import")

    def bring(self, store: Path, *options: str, located: locations.Locations = NOWHERE, killed_at: str = "") -> Ended:
        """Import a store, and wait for the end of it."""
        return self.start(store, *options, located=located, killed_at=killed_at).ended()

    def brought(self, store: Path, *options: str, located: locations.Locations = NOWHERE) -> Ended:
        """The same, which must succeed."""
        ended = self.bring(store, *options, located=located)
        assert ended.code == 0, f"{ended.said}\n{ended.error}"
        return ended

    def refusal(self, store: Path, *options: str, located: locations.Locations = NOWHERE) -> str:
        """The line that an import ends with that must change nothing."""
        before = self.everything()
        ended = self.bring(store, *options, located=located)
        assert ended.code in (1, 64), ended.said
        assert self.everything() == before
        return ended.error

    def ask(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.server.uri(self.database)) as connection:
            cursor = connection.execute(query.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def rows(self) -> Rows:
        """All that is in the database."""
        with psycopg.connect(self.server.uri(self.database)) as connection:
            names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            return {
                name: {row for (row,) in connection.execute(f"SELECT to_jsonb(x)::text FROM {name} x".encode())}
                for (name,) in names
            }

    def files(self) -> dict[str, bytes]:
        """The artifacts."""
        return {
            str(path.relative_to(self.artifacts)): path.read_bytes()
            for path in self.artifacts.rglob("*")
            if path.is_file()
        }

    def everything(self) -> tuple[Rows, dict[str, bytes], list[str]]:
        """The rows, the artifacts, and what is kept beside the dumps."""
        return self.rows(), self.files(), sorted(each.name for each in self.backups.iterdir())

    def _environment(self) -> dict[str, str]:
        signs_in = {
            environment.ADMIN_USERNAME: "admin",
            environment.ADMIN_PASSWORD_FILE: "/nowhere",
            environment.SIGN_IN_REMEMBERED: "5",
        }
        return {
            environment.STORE_URI: self.uri,
            environment.POSTGRES_USER: "mlflow",
            environment.PRIVATE_TABLES: "users",
            environment.CREDENTIALS_VERSION: "1",
            environment.BACKUPS_VOLUME: "the-backups",
            environment.SIGN_IN: str(self.sign_in).lower(),
            **(signs_in if self.sign_in else {}),
        }


@contextmanager
def target(server: Server, database: str, template: str, folder: Path, *, sign_in: bool = False) -> Iterator[Target]:
    """A copy of a database, and volumes in a folder. The copy is gone afterwards."""
    server.create(database, template)
    made = Target(server, database, folder, sign_in=sign_in)
    try:
        # A server makes it at its first start.
        made.ask(
            "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, workspace)"
            " VALUES (0, 'Default', 'mlflow-artifacts:/0', 'active', 'default') ON CONFLICT DO NOTHING"
        )
        yield made
    finally:
        server.drop(database)


def in_a_process(script: str, function: str, *arguments: str, folder: Path) -> None:
    """Call a function of a script beside this file, which makes a store, in a process of its own and in a folder."""
    process = _PROCESSES.Process(target=_in_folder, args=(folder, script, function, *arguments), daemon=True)
    process.start()
    process.join(_LONGEST)
    assert process.exitcode == 0


def _in_folder(folder: Path, script: str, function: str, *arguments: str) -> None:
    os.chdir(folder)
    os.environ["MLFLOW_ENABLE_ASYNC_TRACE_LOGGING"] = "false"
    # Nobody needs the store after a loss of power.
    sqlalchemy.event.listen(sqlalchemy.engine.Engine, "connect", _write_without_waiting)
    # Here alone: they bring in nearly all of MLflow.
    getattr(importlib.import_module(f"{__package__}.{script}"), function)(*arguments)


def _write_without_waiting(connection: Any, _: object) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous = OFF")


class _Output(io.StringIO):
    """What is printed goes to a file at once, and may end the process."""

    def __init__(self, file: Path, killed_at: str = "") -> None:
        super().__init__()
        self._file = file
        self._file.touch()
        self._killed_at = killed_at

    def write(self, text: str) -> int:
        with self._file.open("a") as file:
            file.write(text)
        if self._killed_at and self._killed_at in text:
            os.kill(os.getpid(), signal.SIGKILL)
        return len(text)


def _run(
    arguments: Sequence[str], folders: Folders, environment: Mapping[str, str], output: Path, killed_at: str
) -> None:
    os.environ |= environment
    with (
        redirect_stdout(_Output(output.with_suffix(".out"), killed_at)),
        redirect_stderr(_Output(output.with_suffix(".err"))),
        # Which user it is, is the container's business.
        patch.object(command, "become_nobody", lambda: None),
    ):
        code = command.main(arguments, folders)
    raise SystemExit(code)


def execute(path: Path, *orders: str) -> int:
    """Change a SQLite file; how many rows that were."""
    with closing(sqlite3.connect(path)) as connection:
        changed = sum(connection.execute(order).rowcount for order in orders)
        connection.commit()
    return changed


def found(path: Path, query: str) -> list[tuple[Any, ...]]:
    """What is in a SQLite file."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def located(store: Path) -> locations.Locations:
    """Where the artifacts are, as `ops import` finds it."""
    known = [location for (location,) in found(store, "SELECT artifact_location FROM experiments")]
    folders = {each: each for each in known if Path(each).is_dir()}
    return locations.Locations(folders=folders, empty=[each for each in known if each not in folders])


def rows_of(store: Path) -> Path:
    """The rows of a store as `ops import` reads them from a database: in tables without types."""
    path = store.with_name("rows.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ATTACH ? AS store", (str(store),))
        for (table,) in connection.execute("SELECT name FROM store.sqlite_master WHERE type = 'table'").fetchall():
            columns = [row[1] for row in connection.execute(f"PRAGMA store.table_info({table})")]
            connection.execute(f"CREATE TABLE {table} ({', '.join(columns)})")
            connection.execute(f"INSERT INTO {table} SELECT {', '.join(columns)} FROM store.{table}")
        connection.commit()
    return path

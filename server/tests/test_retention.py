"""Which rows retention removes with their files, which it keeps, and how a round goes on past what it cannot remove.

tests/integration has a round in its container, on rows and files of every kind.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from mlflow_postgres.migration.connections import LOCK
from mlflow_postgres.retention import command, items

from .postgresql import Server

DAYS = 2
LONG_AGO, LATELY = 3, 1
"""Days."""
DAY_AFTER, LATER, AGAIN, AT_ONCE = 24 * 3600, 600, 60, 5
"""Seconds to the next round."""

# A table that a later MLflow might have, whose rows hold on to runs.
HELD_BY_ANOTHER_TABLE = """
CREATE TABLE first (id text PRIMARY KEY, run varchar(32) REFERENCES runs);
CREATE TABLE second (id text REFERENCES first)
"""


@dataclass
class Store:
    """A database and the files of its artifacts."""

    uri: str
    folder: Path
    progress: command.Progress = field(default_factory=command.Progress)

    def ask(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.uri) as connection:
            cursor = connection.execute(query.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def experiment(self, number: int, deleted: float | None = None) -> None:
        """`deleted` is how many days ago that was, here and below."""
        self.ask(
            "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, last_update_time)"
            " VALUES (%s, %s, %s, %s, %s)",
            *(number, str(number), f"mlflow-artifacts:/{number}", stage(deleted), milliseconds(deleted or LONG_AGO)),
        )

    def run(self, name: str, experiment: int, deleted: float | None = None, *, said: bool = True) -> Path:
        """A run with an artifact. Without `said`, MLflow did not write down when it was deleted."""
        self.ask(
            "INSERT INTO runs (run_uuid, experiment_id, artifact_uri, lifecycle_stage, deleted_time)"
            " VALUES (%s, %s, %s, %s, %s)",
            *(name, experiment, f"mlflow-artifacts:/{experiment}/{name}/artifacts", stage(deleted)),
            milliseconds(deleted) if deleted and said else None,
        )
        return self._artifact(f"{experiment}/{name}/artifacts/a.txt")

    def model(self, name: str, experiment: int, deleted: float | None = None) -> Path:
        self.ask(
            "INSERT INTO logged_models (model_id, experiment_id, name, artifact_location, creation_timestamp_ms,"
            " last_updated_timestamp_ms, status, lifecycle_stage) VALUES (%s, %s, %s, %s, 0, %s, 2, %s)",
            *(name, experiment, name, f"mlflow-artifacts:/{experiment}/models/{name}/artifacts"),
            *(milliseconds(deleted or LONG_AGO), stage(deleted)),
        )
        return self._artifact(f"{experiment}/models/{name}/artifacts/MLmodel")

    def trace(self, name: str, experiment: int) -> None:
        self.ask(
            "INSERT INTO trace_info (request_id, experiment_id, timestamp_ms, status) VALUES (%s, %s, 0, 'OK')",
            *(name, experiment),
        )

    def version(self, name: str, source: str, stage: str = "None") -> None:
        """A version of a registered model that is made of something."""
        self.ask("INSERT INTO registered_models (name) VALUES (%s)", name)
        self.ask(
            "INSERT INTO model_versions (name, version, source, current_stage) VALUES (%s, 1, %s, %s)",
            *(name, source, stage),
        )

    def _artifact(self, path: str) -> Path:
        file = self.folder / path
        file.parent.mkdir(parents=True)
        file.write_text("four")
        return file

    def names(self) -> set[str]:
        """All that is there, by table."""
        queries = ("run_uuid FROM runs", "model_id FROM logged_models", "request_id FROM trace_info")
        experiments = "experiment_id::text FROM experiments"
        return {name for query in (*queries, experiments) for (name,) in self.ask(f"SELECT {query}")}

    def collect(self) -> int:
        """A round; in how many seconds the next one is due."""
        state = self.folder.parent
        return command.attempt_round(self.uri, DAYS, self.progress, self.folder, state)

    @property
    def why(self) -> str:
        """Why its service is unhealthy; empty while it is not."""
        file = self.folder.parent / command.FAILED
        return file.read_text() if file.exists() else ""


def stage(deleted: float | None) -> str:
    return "active" if deleted is None else "deleted"


def milliseconds(ago: float) -> int:
    return int((time.time() - ago * 24 * 3600) * 1000)


@pytest.fixture
def store(postgresql: Server, database: str, tmp_path: Path) -> Store:
    made = Store(postgresql.uri(database), tmp_path / "artifacts")
    made.folder.mkdir()
    made.experiment(1)
    return made


def test_runs_and_models_go_when_they_were_deleted_long_enough_ago(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = [store.run("old", 1, LONG_AGO), store.model("m-old", 1, LONG_AGO)]
    left = [store.run("lately", 1, LATELY), store.run("active", 1), store.model("m-lately", 1, LATELY)]
    left += [store.model("m-active", 1), store.run("nobody knows", 1, LONG_AGO, said=False)]
    assert store.collect() == DAY_AFTER
    said = capsys.readouterr().out
    assert " run old: removed, with 1 files of 4 bytes" in said
    assert " model m-old: removed, with 1 files of 4 bytes" in said
    assert "round done: 2 removed, 0 kept, 0 failed" in said
    assert store.names() == {"1", "lately", "active", "nobody knows", "m-lately", "m-active"}
    assert not any(file.parent.exists() for file in gone)
    assert all(file.read_text() == "four" for file in left)
    assert store.collect() == DAY_AFTER
    assert "round done: 0 removed, 0 kept, 0 failed" in capsys.readouterr().out


def test_an_experiment_goes_with_all_that_is_in_it_or_stays_with_what_was_deleted_later(store: Store) -> None:
    store.experiment(2, LONG_AGO)
    store.run("unknown", 2, LONG_AGO, said=False)
    store.model("m-2", 2)
    store.trace("tr-2", 2)
    store.experiment(3, LONG_AGO)
    store.run("later", 3, LATELY)
    store.run("before", 3, LONG_AGO)
    store.experiment(4, LATELY)
    store.trace("tr-4", 4)
    store.run("unknown, too", 4, LONG_AGO, said=False)
    store.trace("tr-1", 1)
    store.collect()
    assert store.names() == {"1", "tr-1", "3", "later", "4", "tr-4", "unknown, too"}
    assert sorted(each.name for each in store.folder.iterdir()) == ["3", "4"]


def test_what_a_version_of_a_registered_model_is_made_of_is_kept(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("by-address", "by-slashes", "withdrawn"):
        store.run(name, 1, LONG_AGO)
    store.model("m-used", 1, LONG_AGO)
    store.version("a", "mlflow-artifacts:/1/by-address/artifacts/files")
    store.version("b", "mlflow-artifacts:///1/by-slashes/artifacts")
    store.version("c", "models:/m-used")
    store.version("d", "mlflow-artifacts:/1/withdrawn/artifacts", stage="Deleted_Internal")
    store.collect()
    said = capsys.readouterr().out
    assert " run by-address: kept: the registered model a version 1 uses its files" in said
    assert " model m-used: kept: the registered model c version 1 uses its files" in said
    assert "round done: 1 removed, 3 kept, 0 failed" in said
    assert store.names() == {"1", "by-address", "by-slashes", "m-used"}


def test_what_cannot_be_removed_stays_whole_and_is_said_until_it_can(
    store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = [store.run("refused", 1, LONG_AGO), store.run("locked", 1, LONG_AGO)]
    store.ask(HELD_BY_ANOTHER_TABLE)
    store.ask("INSERT INTO first VALUES ('a', 'refused'); INSERT INTO second VALUES ('a')")

    def rmtree(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    with monkeypatch.context() as patched:
        patched.setattr("shutil.rmtree", rmtree)
        assert store.collect() == LATER
    said = capsys.readouterr().out
    assert "run refused: not removed: " in said
    assert 'violates foreign key constraint "second_id_fkey"' in said
    assert "run locked: not removed: [Errno 13] Permission denied" in said
    assert "round done: 0 removed, 0 kept, 2 failed" in said
    assert store.why == "2 could not be removed; the log has the reasons"
    assert store.names() == {"1", "refused", "locked"}
    assert all(each.exists() for each in kept), "a file goes only when its rows can"
    store.ask("DROP TABLE second, first")
    assert store.collect() == DAY_AFTER
    assert "round done: 2 removed" in capsys.readouterr().out
    assert store.why == ""


def test_as_many_as_a_round_takes_do_not_stand_in_the_way_of_the_next_when_they_cannot_be_removed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What they hold on to comes first, in the order of ids."""
    for module in (items, command):
        monkeypatch.setattr(module, "LIMIT", 20)
    free = "f" * 32
    stuck = "SELECT lpad(n::text, 32, '0') AS id FROM generate_series(1, 20) AS n"
    store.ask(
        "INSERT INTO runs (run_uuid, experiment_id, lifecycle_stage, deleted_time)"
        f" SELECT id, 1, 'deleted', 1 FROM ({stuck} UNION ALL SELECT '{free}') AS made"
    )
    store.ask(HELD_BY_ANOTHER_TABLE)
    store.ask(f"INSERT INTO first SELECT id, id FROM ({stuck}) AS made; INSERT INTO second SELECT id FROM first")
    assert store.collect() == AT_ONCE
    assert free in store.names()
    assert store.collect() == LATER
    assert free not in store.names()
    assert len(store.names()) == 21
    assert store.why == "20 could not be removed; the log has the reasons"


def test_a_round_and_a_schema_job_are_never_at_work_together(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    store.run("old", 1, LONG_AGO)
    with psycopg.connect(store.uri) as job:
        job.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
        assert store.collect() == AGAIN
        assert "postponed: a schema job, an import or another round" in capsys.readouterr().out
        assert "old" in store.names()
    assert store.collect() == DAY_AFTER
    assert "old" not in store.names()

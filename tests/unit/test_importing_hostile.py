"""What a store, a database or a number must not do to an import."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from contract import import_events
from contract.errors import REMEDY, UserError
from contract.import_events import Error, Note
from mlflow_postgres.importing import addresses, importer, links, sources, target, users
from mlflow_postgres.importing import command as program
from mlflow_postgres.importing.plans import Plan
from mlflow_postgres.importing.tables import Column, Kind, Table
from mlflow_postgres.importing.values import batch_size
from ops import artifact_locations, databases, importing


def _text(name: str, length: int | None = None) -> Column:
    return Column(name=name, kind=Kind.TEXT, root=("t", name), length=length)


def test_a_user_with_the_id_of_another_one_is_not_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    number = Column(name="id", kind=Kind.INTEGER, root=("users", "id"), bits=32)
    people = Table(name="users", columns=(number,), key=("id",), counter="id")
    plan = Plan(keep_ids=False, replaces_default=False, empty_default=False, experiments=(), models=())
    monkeypatch.setattr(target, "existing_keys", lambda *_: iter([(2,)]))
    with closing(sqlite3.connect(":memory:")) as copy:
        copy.executescript(
            "CREATE TABLE experiments (experiment_id); CREATE TABLE registered_models (workspace, name);"
            "CREATE TABLE users (id); INSERT INTO users VALUES (2), (3)"
        )
        nobody: Any = None
        importer._skip(nobody, copy, [people], plan)
        assert copy.execute("SELECT id FROM users").fetchall() == [(2,), (3,)]


def test_triggers_of_the_store_are_dropped(tmp_path: Path) -> None:
    store = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(store)) as connection:
        connection.executescript(
            "CREATE TABLE jobs (id); INSERT INTO jobs VALUES (1);"
            'CREATE TRIGGER "it""s" AFTER DELETE ON jobs BEGIN INSERT INTO users VALUES (\'evil\', 1); END'
        )
    copy = sources.copy_store(store, tmp_path / "scratch")
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("CREATE TABLE users (username, is_admin)")
        connection.execute("DELETE FROM jobs")
        assert connection.execute("SELECT * FROM users").fetchall() == []


def test_users_of_the_store_itself_are_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, given = tmp_path / "mlflow.db", tmp_path / "basic_auth.db"
    with closing(sqlite3.connect(store)) as connection:
        connection.executescript(
            "CREATE TABLE experiments (name); CREATE TABLE roles (name); INSERT INTO roles VALUES ('evil');"
            "CREATE TABLE alembic_version_auth (version_num); CREATE TABLE alembic_version (version_num)"
        )
    with closing(sqlite3.connect(given)) as connection:
        connection.executescript(
            "CREATE TABLE users (username, password_hash); INSERT INTO users VALUES ('anna', 'x');"
        )
    monkeypatch.setattr(users, "python", lambda *_: SimpleNamespace(succeeded=True))
    users.add_tables(given, store, "3.17.2", {"experiments"})
    with closing(sqlite3.connect(store)) as connection:
        assert set(sources.columns(connection)) == {"experiments", "alembic_version", "users"}


def test_a_batch_of_long_rows_is_small() -> None:
    def batch(column: Column) -> int:
        return batch_size(Table(name="t", columns=(column,), key=()))

    assert batch(_text("content")) < batch(_text("value", 8000)) == 10_000


def test_a_full_disk_is_not_reported_as_a_missing_permission() -> None:
    said = r"disk is full; nothing was changed\. Mend it with: room in /"
    with pytest.raises(UserError, match=said), databases._in_words("postgresql://h/d"):
        raise sqlite3.OperationalError("database or disk is full")


def test_text_of_a_store_is_printed_without_control_characters() -> None:
    assert importing._event('{"note": "such as \\u001b]0;mine"}') == Note(note="such as ?]0;mine")
    assert importing._event("\x1b[2Jtext") == Note(note="?[2Jtext")


def test_an_artifact_location_that_is_no_text_is_ignored(tmp_path: Path) -> None:
    # Each line holds the one before it nine times: written out, it would fill the memory.
    lines = ["a0: &a0 [x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))]
    (tmp_path / "meta.yaml").write_text("\n".join([*lines, "artifact_location: *a11"]))
    assert artifact_locations._artifact_location(tmp_path / "meta.yaml") == ""


@pytest.mark.parametrize("digits", ["9" * 19, "9" * 5_000])
def test_digits_that_are_no_id_are_unchanged(digits: str) -> None:
    assert addresses.experiments_in_list(f",{digits},1,", {1: 7}) == f",{digits},7,"
    content = f'{{"mlflow.experimentId": "{digits}"}}'
    assert addresses.experiments_in_span(content, {1: 7}) == content


def test_an_invalid_address_is_no_server_address() -> None:
    assert not addresses.is_server_address("mlflow-artifacts://[half/1")


def test_a_deeply_nested_span_and_a_lone_surrogate_are_kept() -> None:
    names = {("default", "m"): "new"}
    deep = '{"mlflow.linkedPrompts": ' + "[" * 100_000
    assert links.renamed_in_span(deep, "default", names) == deep
    listed = json.dumps(json.dumps([{"name": "m", "version": "1"}]))
    half = f'{{"attributes": {{"mlflow.linkedPrompts": {listed}}}, "name": "\\ud800"}}'
    new = links.renamed_in_span(half, "default", names)
    assert "new" in new
    assert new.encode()


@pytest.mark.parametrize(
    ("error", "mend"),
    [
        (sqlite3.OperationalError("database or disk is full"), "more space for"),
        (sqlite3.OperationalError("no such column: workspace"), "sqlite3 OLD .recover"),
        (OSError(28, "No space left on device"), "more space for"),
        (psycopg.OperationalError("gone"), "the same import again; make doctor"),
        (KeyError(5), "the same import again; report it"),
    ],
)
def test_any_other_error_is_one_line_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, error: Exception, mend: str
) -> None:
    def run_import(*_: object) -> None:
        raise error

    located = tmp_path / "locations.json"
    located.write_text('{"places": {}, "empty": []}')
    monkeypatch.setattr("sys.argv", ["import-runs", "--locations", str(located)])
    monkeypatch.setattr(program, "run_import", run_import)
    monkeypatch.setattr(program, "job_of", lambda *_: None)
    monkeypatch.setattr(program, "version", lambda _: "3.17.2")
    monkeypatch.setattr(program, "become_nobody", lambda: None)
    monkeypatch.setattr("os.umask", lambda _: 0)
    assert program.main() == 1
    printed = capsys.readouterr()
    last = printed.err.splitlines()[-1]
    assert re.match(
        rf"import: \[[a-z-]+\] {type(error).__name__}: .*; nothing was changed.*\. Mend it with: {mend}", last
    )
    event = import_events.parse(printed.out.splitlines()[-1])
    assert isinstance(event, Error)
    assert last == f"import: [{event.code}] {event.problem}{REMEDY}{event.remedy}", "ops import reads the event"

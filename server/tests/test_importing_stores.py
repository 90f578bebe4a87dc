"""The whole way of a store into PostgreSQL: what comes, under which ids and names, and what is refused.

tests/integration has the ways of containers, from the command on to what MLflow's client reads.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy
from mlflow import MlflowClient
from mlflow.store.db.base_sql_model import Base

from contract.locations import Locations
from mlflow_postgres.importing.copies import EXCLUDED

from .imports import NOWHERE, Target, execute, in_a_process, located, rows_of, target
from .postgresql import Server

METRICS = 206
"""Of the store."""

END_AT_COMMIT = """
CREATE FUNCTION end_it() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER end_it AFTER INSERT ON experiments DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION end_it()
"""


@pytest.fixture
def empty(postgresql: Server, schema: str, tmp_path: Path) -> Iterator[Target]:
    """A stack without any runs."""
    with target(postgresql, "empty", schema, tmp_path / "empty") as made:
        yield made


@pytest.fixture(scope="module")
def filled_once(
    postgresql: Server, schema: str, old_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    """A stack that the store was imported into. Nobody changes it."""
    with target(postgresql, "filled_once", schema, tmp_path_factory.mktemp("filled")) as made:
        made.brought(old_store, located=located(old_store))
        yield made


@pytest.fixture
def filled(filled_once: Target, tmp_path: Path) -> Iterator[Target]:
    """A copy of it."""
    shutil.copytree(filled_once.folder, tmp_path / "filled")
    with target(filled_once.server, "filled", filled_once.database, tmp_path / "filled") as made:
        yield made


@pytest.fixture
def store(old_store: Path, tmp_path: Path) -> Path:
    """A copy of the store, to be changed. Its artifacts are where they were."""
    return Path(shutil.copy(old_store, tmp_path / "mlflow.db"))


def stored(uri: str) -> dict[str, str]:
    """By table, the rows as MLflow's own models read them."""
    engine = sqlalchemy.create_engine(uri)
    try:
        with engine.connect() as connection:
            return {
                table.name: "\n".join(sorted(repr(tuple(row)) for row in connection.execute(sqlalchemy.select(table))))
                for table in Base.metadata.sorted_tables
            }
    finally:
        engine.dispose()


def assert_same(here: Target, there: Path) -> None:
    """Every row is the same here. Only addresses of artifacts are the server's, and so may be the first experiment."""
    expected, actual = stored(f"sqlite:///{there}"), stored(here.uri)
    for rows in (expected, actual):
        rows["experiments"] = re.sub(r"^\(0, 'Default', .*", "", rows["experiments"])
    for table in expected.keys() - EXCLUDED.keys():
        assert actual[table] == expected[table].replace(f"{there.parent}/mlruns/", "mlflow-artifacts:/"), table


def numbers(stack: Target) -> dict[str, int]:
    return dict(stack.ask("SELECT name, experiment_id FROM experiments"))


def test_every_row_and_artifact_of_a_store_is_here_under_the_ids_that_it_had(
    filled_once: Target, old_store: Path
) -> None:
    assert_same(filled_once, old_store)
    artifacts = old_store.parent / "mlruns"
    files = {str(each.relative_to(artifacts)): each.read_bytes() for each in artifacts.rglob("*") if each.is_file()}
    assert len(files) == 2
    assert filled_once.files() == files
    given = "INSERT INTO experiments (name, lifecycle_stage, workspace) VALUES ('new', 'active', 'default')"
    with psycopg.connect(filled_once.server.uri(filled_once.database)) as connection:
        (new,) = connection.execute(f"{given} RETURNING experiment_id").fetchall()[0]
        assert new > max(numbers(filled_once).values())
        connection.rollback()


def test_the_comparison_is_kept_beside_the_dumps(filled_once: Target) -> None:
    (file,) = filled_once.backups.iterdir()
    report = json.loads(file.read_text())
    assert re.fullmatch(r"import-\d{8}T\d{6}Z\.json", file.name)
    assert all(table["same"] for table in report["tables"])
    assert {table["table"]: table["rows"] for table in report["tables"]}["metrics"] == METRICS
    assert report["experiments"]["0"] == 0


def test_a_dry_run_says_what_would_come_and_which_names_are_taken_and_changes_nothing(
    empty: Target, store: Path
) -> None:
    empty.ask("INSERT INTO registered_models (name, workspace) VALUES ('old-model', 'default')")
    before, digest = empty.everything(), store.read_bytes()
    planned = empty.brought(store, "--dry-run", located=located(store)).planned()
    counted = planned.plan
    assert (counted["experiments"], counted["runs"], counted["metrics"], counted["spans"]) == (3, 4, METRICS, 2)
    assert planned.clashes == ["model 'old-model'"]
    assert empty.everything() == before
    assert store.read_bytes() == digest


def test_a_second_time_is_refused_or_brings_nothing(filled: Target, old_store: Path) -> None:
    said = filled.refusal(old_store, located=located(old_store))
    assert re.search(r"already imported: the run \w{32} is in the database; nothing was changed\.", said)
    before = filled.everything()
    again = filled.brought(old_store, "--clash", "skip", located=located(old_store))
    assert "the store has nothing to import" in again.notes()
    assert "experiment 'old-one' not imported: it exists already" in again.notes()
    assert filled.everything() == before


def test_names_that_are_taken_are_refused_or_changed_wherever_they_are_named(empty: Target, store: Path) -> None:
    client = MlflowClient(empty.uri)
    for name in ("first", "second", "old-one"):
        client.create_experiment(name)
    client.create_registered_model("old-model")
    client.register_prompt("old-prompt", "another one")
    said = empty.refusal(store, located=located(store))
    assert "experiment 'old-one', model 'old-model', model 'old-prompt': the name exists already" in said
    before = empty.rows()
    notes = empty.brought(store, "--clash", "rename", located=located(store)).notes()
    assert "model 'old-prompt' becomes 'old-prompt (imported)'" in notes
    after = empty.rows()
    for table in ("experiments", "registered_models", "model_versions"):
        # The first experiment was empty, and has the other one's times now.
        lost = {row for row in before[table] - after[table] if '"name": "Default"' not in row}
        assert lost == set(), f"{table} that was here stays as it was"
    number = str(numbers(empty)["old-one (imported)"])
    assert number not in ("1", "2", "3")
    (version,) = client.search_model_versions("name = 'old-model (imported)'")
    assert version.source == f"mlflow-artifacts:/{number}/{version.run_id}/artifacts/files"
    assert [each.name for each in client.search_datasets(experiment_ids=[number])] == ["old-questions"]
    used = client.search_traces(locations=[number], filter_string="prompt = 'old-prompt (imported)/1'")
    (trace,) = client.search_traces(locations=[number])
    assert [each.info.trace_id for each in used] == [trace.info.trace_id]
    assert json.loads(trace.info.tags["mlflow.linkedPrompts"])[0]["name"] == "old-prompt (imported)"
    linked = [each.attributes.get("mlflow.linkedPrompts") for each in trace.data.spans]
    assert any("old-prompt (imported)" in str(each) for each in linked)
    assert client.search_traces(locations=["0", "1", "2", "3"], filter_string="prompt = 'old-prompt/1'") == []


def test_nobody_makes_an_experiment_while_numbers_are_taken(empty: Target, store: Path) -> None:
    waits = (
        "SELECT 1 FROM pg_locks WHERE relation = 'experiments'::regclass"
        " AND mode = 'ShareRowExclusiveLock' AND NOT granted"
    )
    with psycopg.connect(empty.server.uri(empty.database)) as session:
        session.execute(
            "INSERT INTO experiments (name, lifecycle_stage, workspace) VALUES ('slow', 'active', 'default')"
        )
        running = empty.start(store, located=located(store))
        running.wait_for(lambda: bool(empty.ask(waits)))
        session.commit()
    ended = running.ended()
    assert ended.code == 0, ended.error
    assert '{"committed": true}' in ended.said.splitlines()
    assert len(set(numbers(empty).values())) == len(numbers(empty)) == 4, numbers(empty)


def test_a_connection_that_is_lost_over_the_commit_leaves_it_open_whether_it_was(empty: Target, store: Path) -> None:
    empty.ask(END_AT_COMMIT)
    before = empty.rows()
    ended = empty.bring(store, located=located(store))
    assert (ended.code, empty.rows()) == (1, before)
    assert "it is not known whether the import was committed. Mend it with: the same import again" in ended.error
    assert "nothing was changed" not in ended.error
    empty.ask("DROP FUNCTION end_it CASCADE")
    empty.brought(store, located=located(store))
    assert list(empty.backups.glob("copied-*")) == [], "what the first one has copied is known to be here"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("damaged.db", "damaged.db is damaged"),
        ("strange.db", "is not MLflow's: it has no table experiments"),
        ("newer.db", "the store has the schema fffff, which MLflow 3.17.2 does not know"),
    ],
)
def test_what_cannot_be_imported_is_refused_with_a_reason(
    empty: Target, old_store: Path, tmp_path: Path, name: str, said: str
) -> None:
    path = tmp_path / name
    whole = old_store.read_bytes()
    match name:
        case "damaged.db":
            path.write_bytes(whole[: len(whole) // 2 // 4096 * 4096])
        case "strange.db":
            execute(path, "CREATE TABLE orders (id)")
        case "newer.db":
            path.write_bytes(whole)
            execute(path, "UPDATE alembic_version SET version_num = 'fffff'")
    assert said in empty.refusal(path)


def test_all_that_postgresql_cannot_hold_is_named_at_once_and_nothing_is_written(empty: Target, store: Path) -> None:
    execute(
        store,
        "UPDATE params SET value = CAST(x'ff' AS TEXT) WHERE key = 'lr'",
        "UPDATE metrics SET value = 'high' WHERE key = 'loss' AND step < 10",
        "UPDATE runs SET name = hex(zeroblob(200)) WHERE name = 'first'",
        "UPDATE evaluation_dataset_records SET inputs = '{'",
        "PRAGMA ignore_check_constraints = 1",
        "UPDATE runs SET status = 'LOST' WHERE name = 'deleted'",
    )
    ended = empty.bring(store, "--dry-run", located=located(store))
    for line in (
        "params.value of the row with key 'lr', run_uuid '.*' is b'.xff', which is not UTF-8. Mend it: ",
        "metrics.value of the row with key 'loss', .* is 'high', which is not a number. Mend it: ",
        "runs.name of the row with run_uuid '.*' is '0+'…, which is 400 characters long, and PostgreSQL's column ",
        "evaluation_dataset_records.inputs of the row with dataset_record_id '.*' is '{', which is not JSON. ",
        r"runs has a row with run_uuid '.*' that violates the rule: .*status IN \('SCHEDULED'",
    ):
        assert re.search(line, "\n".join(ended.notes())), line
    assert ended.code == 64
    said = "14 value(s) of the store cannot be imported: they are those above; nothing was changed. "
    assert said in ended.error
    assert said in empty.refusal(store, located=located(store))


def test_one_character_is_in_nobodys_way(empty: Target, store: Path) -> None:
    execute(
        store,
        "UPDATE params SET value = '0.1' || char(0) WHERE key = 'lr'",
        "UPDATE evaluation_dataset_records SET inputs = replace(inputs, '\"how?\"', 'NaN')",
    )
    ended = empty.brought(store, located=located(store))
    assert any(
        each.startswith("2 value(s) repaired, which PostgreSQL cannot hold: ")
        and "1 of evaluation_dataset_records.inputs: null instead of NaN or Infinity" in each
        for each in ended.notes()
    )
    assert ended.compared()["metrics"] == METRICS
    assert empty.ask("SELECT value FROM params WHERE key = 'lr'") == [("0.1\ufffd",)]
    assert empty.ask("SELECT inputs FROM evaluation_dataset_records") == [({"question": None},)]


@pytest.fixture
def served(store: Path) -> Path:
    """The store of a server that kept the artifacts."""
    columns = ["experiments.artifact_location", "runs.artifact_uri", "model_versions.source", "trace_tags.value"]
    for table, column in (each.split(".") for each in columns):
        execute(
            store,
            f"UPDATE {table} SET {column} = 'mlflow-artifacts:/' || substr({column}, instr({column}, '/mlruns/') + 8)"
            f" WHERE instr({column}, '/mlruns/')",
        )
    return store


def test_what_only_an_old_server_has_is_not_left_there_without_a_word(empty: Target, served: Path) -> None:
    lost = "the old server has the artifacts of 2 experiment(s), such as 'Default' (mlflow-artifacts:/0)"
    said = empty.refusal(served)
    assert lost in said
    assert 'nothing was changed. Mend it with: IMPORT="--artifacts-from PATH"' in said
    dry = empty.brought(served, "--dry-run").notes()
    assert any(each.startswith(lost) and "the import would be refused" in each for each in dry)
    notes = empty.brought(served, "--leave-artifacts").notes()
    assert any(each.startswith(lost) and each.endswith("they are not imported") for each in notes)
    assert empty.files() == {}


def test_a_servers_artifacts_come_from_the_folder_that_was_found(
    empty: Target, served: Path, old_store: Path, filled_once: Target
) -> None:
    empty.ask(
        "INSERT INTO experiments (name, lifecycle_stage, workspace)"
        " SELECT 'taken-' || n, 'active', 'default' FROM generate_series(1, 3) n"
    )
    folder = str(old_store.parent / "mlruns" / "1")
    places = Locations(folders={"mlflow-artifacts:/1": folder}, empty=["mlflow-artifacts:/0", "mlflow-artifacts:/2"])
    empty.brought(served, located=places)
    new = numbers(empty)["old-one"]
    assert new > 3
    assert empty.files() == {f"{new}{path.removeprefix('1')}": each for path, each in filled_once.files().items()}
    (address,) = empty.ask("SELECT artifact_uri FROM runs WHERE name = 'first'")[0]
    assert address.startswith(f"mlflow-artifacts:/{new}/")


def test_what_is_not_its_own_is_not_read(empty: Target, store: Path) -> None:
    empty.ask("INSERT INTO experiments (name, lifecycle_stage, workspace) VALUES ('others', 'active', 'default')")
    empty.ask(
        "INSERT INTO runs (run_uuid, experiment_id) SELECT 'others', experiment_id FROM experiments"
        " WHERE name = 'others'"
    )
    empty.ask(
        "INSERT INTO metrics (key, value, timestamp, step, is_nan, run_uuid)"
        " SELECT 'many', 1, 1, step, false, 'others' FROM generate_series(1, 50000) step"
    )
    before = looked_at(empty)
    assert empty.brought(store, located=located(store)).compared()["metrics"] == METRICS
    assert looked_at(empty) - before < 50_000


def looked_at(stack: Target) -> int:
    """How many metrics PostgreSQL has looked at without an index."""
    ((count,),) = stack.ask("SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'metrics'")
    return int(count)


def test_mlflows_own_demo_is_the_same_here(empty: Target, tmp_path: Path) -> None:
    in_a_process("other_stores", "make_demo", f"sqlite:///{tmp_path}/demo.db", folder=tmp_path)
    demo = tmp_path / "demo.db"
    ended = empty.brought(demo, located=located(demo))
    assert ended.compared()["trace_info"] > 40
    # SQLite does not look at lengths.
    long = execute(demo, "DELETE FROM entity_associations WHERE length(destination_id) > 36")
    stays = f"{long} of entity_associations not imported: the name of their prompt is too long for PostgreSQL's column"
    assert stays in ended.notes()
    assert_same(empty, demo)


def test_a_database_of_an_older_mlflow_comes_along_and_stays_as_old_as_it_is(empty: Target, tmp_path: Path) -> None:
    in_a_process("other_stores", "make_2_9", f"sqlite:///{tmp_path}/older.db", folder=tmp_path)
    rows = rows_of(tmp_path / "older.db")
    before = rows.read_bytes()
    empty.brought(rows, "--rows-only", located=NOWHERE)
    assert rows.read_bytes() == before
    assert empty.ask(
        "SELECT experiments.name, creation_time, params.value, metrics.value FROM runs"
        " JOIN experiments USING (experiment_id) JOIN params USING (run_uuid) JOIN metrics USING (run_uuid)"
        " WHERE run_uuid = 'abc'"
    ) == [("of 2.9", 7, "x", 0.1)]


@pytest.mark.parametrize(
    ("orders", "said"),
    [
        (["DROP TABLE params"], "the store is not MLflow's: it has no table params"),
        (
            ["ALTER TABLE runs DROP COLUMN name"],
            "the database has no readable column runs.name, which its MLflow schema has",
        ),
        (
            ["UPDATE alembic_version SET version_num = 'fffff'"],
            "the store has the schema fffff, which MLflow 3.17.2 does not know",
        ),
    ],
)
def test_rows_that_are_not_all_of_mlflows_are_refused(
    empty: Target, old_store: Path, tmp_path: Path, orders: list[str], said: str
) -> None:
    rows = rows_of(Path(shutil.copy(old_store, tmp_path)))
    execute(rows, *orders)
    assert said in empty.refusal(rows, "--rows-only")

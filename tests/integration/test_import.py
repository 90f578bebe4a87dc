"""Old runs come along: everything that MLflow's client sees is the same here, or nothing was changed at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .harness import Deployment, wait_for
from .old_stores import (
    HERE,
    OldStore,
    add_links_to_secrets,
    assert_same,
    contents,
    copy_from_container,
    execute_sqlite,
    in_a_database,
    last_line,
    make_store,
    only_experiments,
    refusal,
    start_import,
    waits_for_experiments,
    with_names,
)

END_AT_COMMIT = """
CREATE FUNCTION end_it() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER end_it AFTER INSERT ON experiments DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION end_it()
"""

MAKE_DEMO = """
import sys, mlflow
from mlflow.demo import generate_all_demos
mlflow.set_tracking_uri(sys.argv[1])
generate_all_demos()
"""

# Without what is another id or address here, and what a server does not say of an assessment.
SHOW_DEMO = """
import json, sys, mlflow
from mlflow import MlflowClient
from mlflow.genai.datasets import search_datasets
mlflow.set_tracking_uri(sys.argv[1])
client = MlflowClient(sys.argv[1])
number = client.get_experiment_by_name("MLflow Demo").experiment_id
traces = {}
for trace in mlflow.search_traces(locations=[number], max_results=500, return_type="list"):
    found = trace.to_dict()
    del found["info"]["trace_location"]
    found["info"]["tags"].pop("mlflow.artifactLocation", None)
    for each in found["info"]["assessments"]:
        each.pop("valid", None)
    found["info"]["assessments"].sort(key=lambda each: each["assessment_id"])
    found["data"]["spans"].sort(key=lambda each: each["span_id"])
    traces[trace.info.trace_id] = found
runs = client.search_runs([number])
prompts = [each.name for each in client.search_prompts() if each.name.startswith("mlflow-demo")]
print(json.dumps({
    "traces": traces,
    "runs": {run.info.run_id: [run.data.params, run.data.metrics, run.data.tags] for run in runs},
    "prompts": {name: client.get_prompt_version(name, 1).template for name in prompts},
    "datasets": sorted([each.name, each.digest, len(each.to_df())] for each in search_datasets([number])),
}, sort_keys=True, default=str))
"""


@pytest.fixture(scope="module")
def new(empty_stack: Deployment) -> Deployment:
    return empty_stack


@pytest.fixture(scope="module")
def old(new: Deployment, tmp_path_factory: pytest.TempPathFactory) -> OldStore:
    store = make_store(new, tmp_path_factory.mktemp("old"), "sqlite", "old")
    add_links_to_secrets(store.path.parent / "mlruns")
    return store


def test_a_dry_run_says_what_would_come_and_changes_nothing(new: Deployment, old: OldStore) -> None:
    before, digest = contents(new), old.path.read_bytes()
    printed = new.ops("import", "--dry-run", str(old.path))
    counted = {line.split()[0]: int(line.split()[1]) for line in printed.splitlines() if line.endswith(" rows")}
    assert (counted["experiments"], counted["runs"], counted["metrics"], counted["spans"]) == (3, 4, 206, 2)
    assert contents(new) == before
    assert old.path.read_bytes() == digest


def test_everything_of_a_sqlite_store_is_the_same_here(new: Deployment, old: OldStore) -> None:
    digest, files = old.path.read_bytes(), sorted(old.path.parent.rglob("*"))
    printed = new.ops("import", str(old.path))
    assert "same on both sides: metrics, 206 rows" in printed
    assert "DIFFERENT" not in printed
    assert "/artifacts/link' is a symbolic link: not imported" in printed
    assert_same(contents(new), old.contents)
    assert (old.path.read_bytes(), sorted(old.path.parent.rglob("*"))) == (digest, files), "only read"


def test_ids_are_kept_in_an_empty_database_and_the_next_one_is_new(new: Deployment, old: OldStore) -> None:
    numbers = {name: fields[-1] for name, fields in contents(new)["experiments"].items()}
    assert numbers == {name: fields[-1] for name, fields in old.contents["experiments"].items()}
    create = "import mlflow, sys; print(mlflow.MlflowClient(sys.argv[1]).create_experiment('after'))"
    assert last_line(new, "python", "-c", create, HERE) not in numbers.values()


def test_the_comparison_is_kept_beside_the_dumps(new: Deployment) -> None:
    listing = new.engine.containers.run(
        new.image("schema"),
        ["sh", "-c", "cat /backups/import-*.json"],
        volumes={f"{new.prefix}-backups": {"bind": "/backups", "mode": "ro"}},
        entrypoint=[],
        remove=True,
    )
    report = json.loads(listing)
    assert all(table["same"] for table in report["tables"])
    assert report["experiments"]["0"] == 0


def test_a_second_time_is_refused(new: Deployment, old: OldStore) -> None:
    assert "already imported" in refusal(new, str(old.path))


def test_a_second_time_brings_nothing_when_names_that_are_taken_are_skipped(new: Deployment, old: OldStore) -> None:
    before = contents(new)
    new.ops("import", "--clash", "skip", str(old.path))
    assert contents(new) == before


def test_a_folder_is_imported_beside_what_is_there(new: Deployment, tmp_path: Path) -> None:
    folder = make_store(new, tmp_path, "folder", "folder")
    add_links_to_secrets(folder.path)
    assert "experiment 'Default'" in refusal(new, str(folder.path))
    before = contents(new)
    printed = new.ops("import", "--clash", "rename", str(folder.path))
    assert "/tags/link' is a symbolic link: not imported" in printed
    after = contents(new)
    assert_same(after, with_names(in_a_database(folder.contents), {"Default": "Default (imported)"}))
    for kind in ("experiments", "runs", "models", "traces"):
        assert {key: after[kind][key] for key in before[kind]} == before[kind]


def test_datasets_and_prompts_are_linked_to_what_they_are_linked_to_under_other_ids_and_names(
    new: Deployment, tmp_path: Path
) -> None:
    store = make_store(new, tmp_path, "sqlite", "linked")
    create = "import mlflow, sys; mlflow.MlflowClient(sys.argv[1]).register_prompt('linked-prompt', 'another one')"
    new.execute("mlflow", "python", "-c", create, HERE)
    new.ops("import", "--clash", "rename", str(store.path))
    text = json.dumps(store.contents).replace("linked-prompt", "linked-prompt (imported)")
    after = contents(new)
    assert_same(
        after,
        with_names(json.loads(text), {"Default": "Default (imported 2)"}),
    )
    assert store.contents["datasets"]["linked-one"]
    assert after["prompted"]["linked-prompt"] == []
    assert len(after["prompted"]["linked-prompt (imported)"]) == 1
    numbers = [each["experiments"]["linked-one"][-1] for each in (after, store.contents)]
    assert numbers[0] != numbers[1]


def test_nobody_makes_an_experiment_while_numbers_are_taken(new: Deployment, old: OldStore, tmp_path: Path) -> None:
    path = only_experiments(old, tmp_path)
    with new.database() as watcher, new.database() as session:
        watcher.autocommit = True
        session.execute(
            "INSERT INTO experiments"
            " (name, lifecycle_stage, workspace, artifact_location, creation_time, last_update_time)"
            " VALUES ('slow', 'active', 'default', 'mlflow-artifacts:/slow', 1, 1)"
        )
        with start_import(new, "--clash", "rename", str(path)) as process:
            wait_for(lambda: waits_for_experiments(watcher) or process.poll() is not None, "an import that waits")
            assert process.poll() is None
            session.commit()
            printed = process.communicate()[0]
    assert process.returncode == 0, printed
    numbers = [fields[-1] for fields in contents(new)["experiments"].values()]
    assert len(set(numbers)) == len(numbers)
    assert "committed: the import is in the database" in printed


def test_a_connection_that_is_lost_over_the_commit_leaves_it_open_whether_it_was(
    new: Deployment, old: OldStore, tmp_path: Path
) -> None:
    path = only_experiments(old, tmp_path)
    owner = ("psql", "-U", "mlflow_owner", "-d", "mlflow", "-v", "ON_ERROR_STOP=1", "-c")
    new.execute("postgres", *owner, END_AT_COMMIT)
    try:
        said = refusal(new, "--clash", "rename", str(path))
    finally:
        new.execute("postgres", *owner, "DROP FUNCTION end_it CASCADE")
    assert (
        "it is not known whether the import was committed. Mend it with: the same import again, which reports it"
        in said
    )
    assert "nothing was changed" not in said


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("missing.db", "there is no such file or folder"),
        ("text.db", "is not a SQLite file"),
        ("empty", "is empty"),
        ("damaged.db", "damaged.db is damaged"),
        ("strange.db", "is not MLflow's: it has no table experiments"),
        ("newer.db", "the store has the schema fffff, which MLflow 3.17.2 does not know"),
    ],
)
def test_what_cannot_be_imported_is_refused_with_a_reason(
    new: Deployment, old: OldStore, tmp_path: Path, name: str, said: str
) -> None:
    path = tmp_path / name
    whole = old.path.read_bytes()
    match name:
        case "text.db":
            path.write_text("not SQLite at all")
        case "empty":
            path.mkdir()
        case "damaged.db":
            path.write_bytes(whole[: len(whole) // 2 // 4096 * 4096])
        case "strange.db":
            execute_sqlite(path, "CREATE TABLE orders (id)")
        case "newer.db":
            path.write_bytes(whole)
            execute_sqlite(path, "UPDATE alembic_version SET version_num = 'fffff'")
    assert said in refusal(new, str(path))


def test_mlflows_own_demo_is_the_same_here(new: Deployment, tmp_path: Path) -> None:
    uri = "sqlite:////tmp/demo/mlflow.db"
    new.execute("mlflow", "sh", "-c", 'mkdir /tmp/demo && cd /tmp/demo && exec python -c "$@"', "sh", MAKE_DEMO, uri)
    there = json.loads(last_line(new, "python", "-c", SHOW_DEMO, uri))
    new.ops("import", str(copy_from_container(new, "/tmp/demo", tmp_path) / "mlflow.db"))
    assert len(there["traces"]) > 40
    assert json.loads(last_line(new, "python", "-c", SHOW_DEMO, HERE)) == there

"""What a server has made: a store that it writes into comes as it was at one moment, and the server goes on; artifacts
that it kept elsewhere come along, and whatever else is in a store is told before anything is written."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from docker.models.containers import Container

from contract.labels import ROLE, STACK

from .harness import Deployment, wait_for
from .old_databases import output_of
from .old_stores import OldStore, assert_same, contents, execute_sqlite, make_store, refusal

WRITE = """
import sys
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
client = MlflowClient("http://127.0.0.1:5000")
experiment = client.create_experiment(sys.argv[1])
number = 0
while True:
    run = client.create_run(experiment).info.run_id
    number += 1
    client.log_batch(run, [Metric(key, number, 1, 0) for key in "abc"], [Param(key, str(number)) for key in "de"])
    print(number, flush=True)
"""


CREATE = """
from mlflow import MlflowClient
client = MlflowClient("http://127.0.0.1:5000")
print(client.create_run(client.create_experiment("others")).info.run_id)
"""


@pytest.fixture(scope="module")
def new(empty_stack: Deployment) -> Deployment:
    return empty_stack


@contextmanager
def old_server(stack: Deployment, folder: Path) -> Iterator[Container]:
    """`mlflow server` on a file in a folder of this machine."""
    server = stack.engine.containers.run(
        stack.image("mlflow"),
        ["server", "--workers", "1", "--backend-store-uri", "sqlite:////store/mlflow.db"],
        entrypoint=["mlflow"],
        user=f"{os.getuid()}:{os.getgid()}",
        volumes={str(folder): {"bind": "/store"}},
        working_dir="/store",
        labels={STACK: stack.prefix, ROLE: "old"},
        init=True,
        detach=True,
    )
    ask = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:5000/health')"
    try:
        wait_for(lambda: server.exec_run(["python", "-c", ask]).exit_code == 0, "the old server")
        yield server
    finally:
        server.remove(force=True, v=True)


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_file_that_a_server_writes_into_comes_as_it_was_at_one_moment(
    new: Deployment, tmp_path: Path, mode: str
) -> None:
    path = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}")
    with old_server(new, tmp_path) as server:
        server.exec_run(["sh", "-c", 'exec python -c "$@" > /tmp/written', "sh", WRITE, mode], detach=True)

        def written() -> int:
            return len(output_of(server, "sh", "-c", "touch /tmp/written; cat /tmp/written").split())

        wait_for(lambda: written() >= 20, "runs in the old store")
        before = written()
        printed = new.ops("import", "--clash", "rename", "--artifacts", "leave", str(path))
        after = written()
        wait_for(lambda: written() > after, "another run in the old store")
    assert "DIFFERENT" not in printed
    with new.database() as session:
        runs = session.execute(
            "SELECT (SELECT count(*) FROM metrics WHERE metrics.run_uuid = runs.run_uuid),"
            " (SELECT count(*) FROM params WHERE params.run_uuid = runs.run_uuid)"
            " FROM runs JOIN experiments USING (experiment_id) WHERE experiments.name = %s",
            (mode,),
        ).fetchall()
    assert before <= len(runs) <= after + 1
    # Of the last run the parameters may be there alone, or nothing yet: each kind is logged in a transaction.
    unfinished = [each for each in runs if each != (3, 2)]
    assert unfinished in ([], [(0, 0)], [(0, 2)])


@pytest.fixture(scope="module")
def elsewhere(new: Deployment, tmp_path_factory: pytest.TempPathFactory) -> OldStore:
    """The store of a server that kept artifacts in a folder of their own, `files`."""
    store = make_store(new, tmp_path_factory.mktemp("elsewhere"), "sqlite", "elsewhere")
    (store.path.parent / "mlruns").rename(store.path.parent.parent / "files")
    columns = ["experiments.artifact_location", "runs.artifact_uri", "model_versions.source", "trace_tags.value"]
    for table, column in (each.split(".") for each in columns):
        execute_sqlite(
            store.path,
            f"UPDATE {table} SET {column} = 'mlflow-artifacts:/' || substr({column}, instr({column}, '/mlruns/') + 8)"
            f" WHERE instr({column}, '/mlruns/')",
        )
    return store


def test_all_that_postgresql_cannot_hold_is_named_at_once_and_nothing_is_written(
    new: Deployment, elsewhere: OldStore, tmp_path: Path
) -> None:
    path = tmp_path / "bad.db"
    path.write_bytes(elsewhere.path.read_bytes())
    execute_sqlite(
        path,
        "UPDATE params SET value = CAST(x'ff' AS TEXT) WHERE key = 'lr'",
        "UPDATE metrics SET value = 'high' WHERE key = 'loss' AND step < 10",
        "UPDATE runs SET name = hex(zeroblob(200)) WHERE name = 'first'",
        "UPDATE evaluation_dataset_records SET inputs = '{'",
        "PRAGMA ignore_check_constraints = 1",
        "UPDATE runs SET status = 'LOST' WHERE name = 'deleted'",
    )
    with pytest.raises(AssertionError) as error:
        new.ops("import", "--dry-run", "--clash", "rename", str(path))
    printed = str(error.value)
    for line in (
        "params.value of the row with key 'lr', run_uuid '.*' is b'.xff', which is not UTF-8. Mend it: ",
        "metrics.value of the row with key 'loss', .* is 'high', which is not a number. Mend it: ",
        "runs.name of the row with run_uuid '.*' is '0+'…, which is 400 characters long, and PostgreSQL's column ",
        "evaluation_dataset_records.inputs of the row with dataset_record_id '.*' is '{', which is not JSON. ",
        r"runs has a row with run_uuid '.*' that violates the rule: .*status IN \('SCHEDULED'",
        r"14 value\(s\) of the store cannot be imported: they are those above; nothing was changed\. ",
    ):
        assert re.search(line, printed), line
    assert "14 value(s) of the store cannot be imported" in refusal(new, "--clash", "rename", str(path))


def test_what_only_an_old_server_has_is_not_left_there_without_a_word(new: Deployment, elsewhere: OldStore) -> None:
    said = refusal(new, "--clash", "rename", str(elsewhere.path))
    assert "the old server has the artifacts of 2 experiment(s), such as 'Default' (mlflow-artifacts:/0)" in said
    assert 'nothing was changed. Mend it with: IMPORT="--artifacts-from PATH"' in said


def test_a_servers_artifacts_come_from_the_folder_that_is_named_and_one_character_is_in_nobodys_way(
    new: Deployment, elsewhere: OldStore
) -> None:
    execute_sqlite(
        elsewhere.path,
        "UPDATE params SET value = '0.1' || char(0) WHERE key = 'lr'",
        "UPDATE evaluation_dataset_records SET inputs = replace(inputs, '\"how?\"', 'NaN')",
    )
    # Somebody else's, to see who looks at them.
    run = output_of(new.container("mlflow"), "python", "-c", CREATE).split()[-1]
    with new.database() as session:
        session.execute(
            "INSERT INTO metrics (key, value, timestamp, step, is_nan, run_uuid)"
            " SELECT 'many', 1, 1, step, false, %s FROM generate_series(1, 50000) step",
            (run,),
        )
    before = looked_at(new)
    folder = elsewhere.path.parent.parent / "files"
    printed = new.ops("import", "--clash", "rename", "--artifacts-from", str(folder), str(elsewhere.path))
    assert (
        "2 value(s) repaired, which PostgreSQL cannot hold: 1 of evaluation_dataset_records.inputs: null instead of"
        in printed
    )
    assert "same on both sides: metrics, 206 rows" in printed
    assert "DIFFERENT" not in printed
    there = json.loads(json.dumps(elsewhere.contents))
    for run in there["runs"].values():
        if "lr" in run["params"]:
            run["params"]["lr"] = "0.1\ufffd"
    for linked in there["datasets"].values():
        for *_, records in linked:
            for record in records:
                record["inputs"] = {"question": None}
    assert_same(contents(new), there)
    assert looked_at(new) - before < 50_000, "what is not its own is not read"


def looked_at(stack: Deployment) -> int:
    """How many metrics PostgreSQL has looked at without an index, as far as it has heard of it."""
    with stack.database() as session:
        found = session.execute("SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'metrics'").fetchone()
    assert found
    return int(found[0])

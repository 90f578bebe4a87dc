"""From one version of MLflow to another: a dump first, all data after, a way back, and a failure that hurts nobody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from docker import DockerClient
from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from mlflow_postgres.migration.tuning import INDEXES
from ops import schema_job
from ops.docker_runtime import DockerRuntime

from .harness import Deployment, deployment, wait_for

OLD, NEW = "3.6.0", "3.17.2"
RUNS = 1000


@pytest.fixture(scope="module")
def old(engine: DockerClient) -> Iterator[Deployment]:
    """A stack of an older MLflow, with runs and a registered model."""
    with deployment(engine, mlflowVersion=OLD, gcAfterDays=1) as stack:
        stack.up()
        fill(stack)
        yield stack


def fill(stack: Deployment) -> None:
    client = MlflowClient(stack.outputs()["tracking_url"])
    experiment = client.create_experiment("before-the-upgrade")
    first = client.create_run(experiment)
    client.log_batch(first.info.run_id, [Metric("loss", step / 10, 0, step) for step in range(10)], [Param("a", "b")])
    client.create_registered_model("model")
    client.create_model_version("model", "mlflow-artifacts:/0/model", first.info.run_id)
    # A thousand through the API would take minutes: the server's own role writes the others, as the API does.
    with database(stack) as connection:
        connection.execute(
            "INSERT INTO runs (run_uuid, name, source_type, user_id, status, start_time, lifecycle_stage, artifact_uri,"
            " experiment_id) SELECT md5(n::text), 'run-' || n, 'LOCAL', 'tester', 'FINISHED', n, 'active',"
            " 'mlflow-artifacts:/0/' || n, %s FROM generate_series(2, %s) AS n",
            [int(experiment), RUNS],
        )
        for table in ("metrics", "latest_metrics"):
            connection.execute(
                f"INSERT INTO {table} (key, value, timestamp, run_uuid, step, is_nan)"
                " SELECT 'loss', n, n, md5(n::text), 0, false FROM generate_series(2, %s) AS n",
                [RUNS],
            )
    client.set_tag(first.info.run_id, "k", "v")


def database(stack: Deployment) -> psycopg.Connection[Any]:
    return psycopg.connect(stack.outputs()["backend_store_uri"].replace("+psycopg", ""))


def contents(stack: Deployment) -> dict[str, Any]:
    """What MLflow's client sees of it all."""
    client = MlflowClient(stack.outputs()["tracking_url"])
    experiment = client.get_experiment_by_name("before-the-upgrade")
    assert experiment
    found: dict[str, float] = {}
    token = None
    while True:
        page = client.search_runs([experiment.experiment_id], max_results=500, page_token=token)
        found |= {run.info.run_id: run.data.metrics["loss"] for run in page}
        token = page.token
        if not token:
            break
    (first,) = client.search_runs([experiment.experiment_id], "params.a = 'b'")
    return {
        "runs": found,
        "history": [point.value for point in client.get_metric_history(first.info.run_id, "loss")],
        "tags": first.data.tags.get("k"),
        "model": [(each.version, each.run_id) for each in client.search_model_versions("name = 'model'")],
    }


def revision(stack: Deployment) -> str:
    with database(stack) as connection:
        (found,) = connection.execute("SELECT version_num FROM alembic_version").fetchone() or ("none",)
    return str(found)


def version(stack: Deployment) -> str:
    return stack.execute(
        "mlflow", "python", "-c", "from importlib.metadata import version; print(version('mlflow'))"
    ).strip()


def indexes(stack: Deployment) -> dict[str, tuple[bool, str]]:
    """Every index that has a name of ours: whether it is valid, and what PostgreSQL says that it is."""
    with database(stack) as connection:
        found = connection.execute(
            "SELECT relname, indisvalid, pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class ON oid = indexrelid"
            " WHERE starts_with(relname::text, 'mlflow_postgres_')"
        ).fetchall()
    return {name: (valid, definition) for name, valid, definition in found}


def test_the_older_version_holds_the_runs(old: Deployment) -> None:
    assert version(old) == OLD
    assert len(contents(old)["runs"]) == RUNS
    found = indexes(old)
    assert set(found) == set(INDEXES)
    assert all(valid for valid, _ in found.values())


def test_what_was_deleted_in_the_older_version_is_removed_for_good(old: Deployment) -> None:
    client = MlflowClient(old.outputs()["tracking_url"])
    experiment = client.create_experiment("deleted")
    run = client.create_run(experiment).info.run_id
    client.log_batch(run, [Metric("loss", 1, 0, 0)], [Param("a", "b")])
    client.delete_experiment(experiment)
    two_days = 2 * 24 * 3600 * 1000
    with database(old) as connection:
        connection.execute("UPDATE runs SET deleted_time = deleted_time - %s WHERE run_uuid = %s", [two_days, run])
        gone = "UPDATE experiments SET last_update_time = last_update_time - %s WHERE experiment_id = %s"
        connection.execute(gone, [two_days, experiment])
    old.container("gc").restart()
    wait_for(lambda: f"experiment {experiment}: removed" in old.container("gc").logs().decode(), "its removal")
    assert f"run {run}: removed" in old.container("gc").logs().decode()


def test_a_migration_that_fails_leaves_the_old_server_on_the_old_schema(old: Deployment) -> None:
    before, schema, made = contents(old), revision(old), indexes(old)
    started = old.container("mlflow").attrs["State"]["StartedAt"]
    as_owner(old, "CREATE TABLE issues (stranger int)")
    old.configure(mlflowVersion=NEW)
    said = old.up(fails=True)
    assert f"MLflow {NEW} could not migrate; the database is as it was, at {schema}" in said
    assert f"before-{NEW}-" in said
    assert f"in the volume {old.prefix}-backups" in said
    assert f"bin/pulumi config set mlflowVersion {OLD}" in said
    assert old.container("mlflow").attrs["State"]["StartedAt"] == started, "the old server answers all the while"
    assert (contents(old), revision(old), indexes(old)) == (before, schema, made)
    log = logged(old)
    for step in ("dropped, a migration may touch tags", "creating on tags"):
        assert f"index mlflow_postgres_tags_value: {step}" in log
    as_owner(old, "DROP TABLE issues")


def as_owner(stack: Deployment, *orders: str, fails: bool = False) -> None:
    """Do something to the tables behind MLflow's back."""
    for order in orders:
        command = ["psql", "-q", "-U", "mlflow_owner", "-d", "mlflow", "-c", order]
        code, said = stack.container("postgres").exec_run(command)
        assert bool(code) == fails, said


def logged(stack: Deployment) -> str:
    """What the newest schema job has said."""
    return stack.container("schema").logs().decode()


def test_an_upgrade_dumps_first_and_keeps_everything(old: Deployment) -> None:
    before, schema, made = contents(old), revision(old), indexes(old)
    spoil(old)
    assert indexes(old)["mlflow_postgres_runs_newest"][0] is False
    old.up()
    assert version(old) == NEW
    assert revision(old) != schema
    assert contents(old) == before
    assert indexes(old) == made
    assert "index mlflow_postgres_latest_metrics_value: rebuilding on latest_metrics" in logged(old)
    newest = dumps(old)[0]
    assert newest["name"].startswith(f"before-{NEW}-")
    assert (newest["from_version"], newest["to_version"], newest["from_revision"]) == (OLD, NEW, schema)
    old.preview_unchanged()


def spoil(stack: Deployment) -> None:
    """Indexes as another release and an interrupted job leave them: made otherwise, not wanted any more, not valid."""
    as_owner(
        stack,
        "DROP INDEX mlflow_postgres_latest_metrics_value, mlflow_postgres_runs_newest",
        "CREATE INDEX mlflow_postgres_latest_metrics_value ON latest_metrics (value)",
        "CREATE INDEX mlflow_postgres_not_wanted ON metrics (value)",
    )
    # All runs are active: PostgreSQL gives up, and keeps what it has.
    unfinished = "CREATE UNIQUE INDEX CONCURRENTLY mlflow_postgres_runs_newest ON runs (lifecycle_stage)"
    as_owner(stack, unfinished, fails=True)


def dumps(stack: Deployment) -> list[dict[str, Any]]:
    return list(json.loads(run_job(stack, "dumps")))


def run_job(stack: Deployment, *command: str) -> str:
    runtime = DockerRuntime(stack.engine)
    return schema_job.run(runtime, schema_job.find(runtime, stack.name), *command, command="a test")


def test_of_two_jobs_at_once_one_works_and_the_other_waits_and_finds_nothing_to_do(old: Deployment) -> None:
    before = contents(old)
    # On the old schema again, so that there is work for one.
    run_job(old, "restore", dumps(old)[0]["name"])
    with ThreadPoolExecutor(2) as pool:
        said = sorted(pool.map(lambda _: run_job(old, "migrate"), range(2)), key=len)
    idle, busy = said
    assert "waiting for another schema job" in idle
    assert "nothing to change" in idle
    assert "dumped the database" not in idle
    assert "main tables changed" in busy
    assert contents(old) == before


def test_a_rollback_brings_the_old_version_and_all_data_back(old: Deployment) -> None:
    before, made = contents(old), indexes(old)
    said = old.ops("rollback")
    assert f"of MLflow {OLD}" in said
    assert version(old) == OLD
    assert contents(old) == before
    assert indexes(old) == made
    assert dumps(old)[0]["name"].startswith("before-rollback-"), "what was there is kept as well"
    # The command has written the version into the stack's file.
    old.settings["mlflowVersion"] = OLD
    old.preview_unchanged()


def test_a_rollback_that_is_not_needed_is_refused(old: Deployment) -> None:
    with pytest.raises(AssertionError, match="a rollback is not needed"):
        old.ops("rollback")

"""`make doctor` on a stack that is well, and on the same one with each of its parts really broken.

What needs a full disk, another image or an `up` is in test_doctor_faults.py.
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import pytest

from ops import schema_job
from ops.docker_runtime import DockerRuntime
from ops.doctor import command, test_run

from .doctor import (
    archive_by,
    checks,
    doctor,
    expect_problems,
    occupy_connections,
    reverted,
    run_remedy,
    sql,
    subject_with,
    wait_until_healthy,
)
from .everything import EverythingOn
from .harness import Deployment, wait_for
from .secret_search import places_with, watched_processes

WITHIN = 10
"""Seconds that the doctor may take."""
TRIES = 3
"""The fastest of these counts: how busy the machine is does not."""


@pytest.fixture
def whole(everything_on: EverythingOn) -> Deployment:
    """Every check has something to look at."""
    return everything_on.stack


def test_all_is_well_and_said_line_by_line_in_time(whole: Deployment) -> None:
    # The first look makes the experiment that its run goes into.
    wait_until_healthy(whole)
    seconds = []
    for _ in range(TRIES):
        began = time.monotonic()
        done = doctor(whole)
        seconds.append(time.monotonic() - began)
        if min(seconds) < WITHIN:
            break
    assert min(seconds) < WITHIN
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    lines = done.stdout.splitlines()
    names = ["engine", "stack", *(check.name for check in command.CHECKS)]
    assert len(lines) == len(names)
    for line, name in zip(lines, names, strict=True):
        assert line.split("  ")[0].strip() == "ok", line
        assert name in line
    assert "\033" not in done.stdout


def test_a_look_leaves_no_run_behind(whole: Deployment) -> None:
    wait_until_healthy(whole)
    before = sql(whole, "SELECT count(*) FROM runs")
    expect_problems(whole, {})
    joined = "SELECT count(*) FROM experiments LEFT JOIN runs USING (experiment_id) WHERE experiments.name"
    assert sql(whole, f"{joined} = '{test_run.EXPERIMENT}'") == "1", "the experiment itself"
    assert sql(whole, "SELECT count(*) FROM runs") == before
    assert sql(whole, "SELECT count(*) FROM metrics WHERE key = 'asked'") == "0"
    assert sql(whole, "SELECT count(*) FROM params WHERE key = 'asked'") == "0"


def test_the_head_that_the_image_reads_from_files_is_mlflow_s_own(whole: Deployment) -> None:
    said = json.loads(whole.execute("mlflow", "schema-requirements"))
    read_head = "from mlflow.store.db.utils import _get_latest_schema_revision as head; print('head', head())"
    head = whole.execute("mlflow", "python", "-c", read_head).split("head ")[-1].strip()
    assert said["revisions"]["alembic_version"] == head
    assert said["revisions"]["alembic_version_auth"] == sql(whole, "SELECT version_num FROM alembic_version_auth")


def test_no_secret_shows_while_it_looks(whole: Deployment) -> None:
    with watched_processes() as processes:
        done = doctor(whole)
    seen = processes | {"printed": done.stdout + done.stderr}
    outputs = whole.outputs()
    for name in ("admin_password", "postgres_password", "postgres_readonly_password"):
        assert places_with(str(outputs[name]), seen) == set()
    assert "ops\0doctor" in "".join(processes.values()), "it was watched"


def test_without_an_engine_the_rest_is_not_tried(whole: Deployment, tmp_path: Path) -> None:
    done = doctor(whole, DOCKER_HOST=f"unix://{tmp_path}/nobody.sock")
    engine, *rest = done.stdout.splitlines()
    assert done.returncode == 2
    assert engine.startswith("broken   engine")
    assert "Mend it with: make engine" in engine
    assert {line.split()[0] for line in rest} == {"skipped"}


def test_a_paused_service(whole: Deployment) -> None:
    whole.container("mlflow").pause()
    try:
        found = expect_problems(whole, {"containers": "broken"})
        run_remedy(whole, found["containers"])
    finally:
        if whole.container("mlflow").status == "paused":
            whole.container("mlflow").unpause()


def test_a_database_that_lets_nobody_in(whole: Deployment) -> None:
    with reverted(
        whole, "ALTER DATABASE mlflow ALLOW_CONNECTIONS false", "ALTER DATABASE mlflow ALLOW_CONNECTIONS true"
    ):
        found = expect_problems(whole, {"database": "broken"})
        assert found["schema"]["seen"] == "not tried: see database"
    wait_until_healthy(whole)


def test_a_schema_of_another_mlflow(whole: Deployment) -> None:
    head = sql(whole, "SELECT version_num FROM alembic_version")
    sql(whole, "UPDATE alembic_version SET version_num = 'f00000000000'")
    try:
        found = expect_problems(whole, {"schema": "broken"})
        assert f"has f00000000000, MLflow 3.17.2 needs {head}" in found["schema"]["seen"]
    finally:
        sql(whole, f"UPDATE alembic_version SET version_num = '{head}'")
    wait_until_healthy(whole)


def test_text_that_is_sorted_otherwise(whole: Deployment) -> None:
    sql(whole, """CREATE TABLE somebodys (name text COLLATE "en_US")""")
    sql(whole, "UPDATE pg_collation SET collversion = '1.0' WHERE collname = 'en_US'")
    found = expect_problems(whole, {"collation": "warning"})
    run_remedy(whole, found["collation"])
    sql(whole, "DROP TABLE somebodys")


def test_connections_that_are_nearly_used_up(whole: Deployment) -> None:
    occupy_connections(whole, math.ceil(0.8 * int(sql(whole, "SHOW max_connections"))))
    expect_problems(whole, {"connections": "warning"})
    run_remedy(whole, checks(whole)["connections"])


def test_a_slot_that_nobody_reads(whole: Deployment) -> None:
    sql(whole, "SELECT pg_create_physical_replication_slot('left_behind', true)")
    found = expect_problems(whole, {"wal": "warning"})
    run_remedy(whole, found["wal"])


def test_an_archive_that_takes_nothing(whole: Deployment) -> None:
    archive_by(whole, "false")
    try:
        sql(whole, "SELECT pg_switch_wal()")
        failed = "SELECT coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false)"
        wait_for(lambda: sql(whole, f"{failed} FROM pg_stat_archiver") == "t", "a failure to archive")
        expect_problems(whole, {"wal": "broken"})
    finally:
        archive_by(whole, "true")
    wait_until_healthy(whole)


DUMP = """
from importlib.metadata import version
from mlflow_postgres.migration import dump
from mlflow_postgres.migration.connections import connect
from mlflow_postgres.migration.job import job_of
import os
uri = job_of(os.environ, version("mlflow")).database_uri
with connect(uri) as connection:
    print(dump.create(uri=uri, server_version=connection.info.server_version, database="mlflow", database_bytes=0,
                      reason="doctor", revisions=(None, None), versions=(None, None)).name)
"""


def test_a_dump_whose_file_is_gone(whole: Deployment) -> None:
    def in_job(*words: str) -> str:
        runtime = DockerRuntime(whole.engine)
        return schema_job.run(runtime, schema_job.find(runtime, whole.name), *words, command="a test").strip()

    assert checks(whole)["dumps"]["seen"].startswith("none yet")
    name = in_job("python", "-c", DUMP)
    assert f"the newest, {name}, is 0 days old" in checks(whole)["dumps"]["seen"]
    in_job("mv", f"/backups/{name}.dump", "/backups/elsewhere")
    found = expect_problems(whole, {"dumps": "broken"})
    assert f"the file of {name} is missing" in found["dumps"]["seen"]
    in_job("mv", "/backups/elsewhere", f"/backups/{name}.dump")
    expect_problems(whole, {})
    in_job("rm", f"/backups/{name}.dump")
    run_remedy(whole, checks(whole)["dumps"])
    assert checks(whole)["dumps"]["seen"].startswith("none yet")


def test_a_server_that_may_not_write(whole: Deployment) -> None:
    sql(whole, "REVOKE INSERT ON runs FROM mlflow")
    try:
        found = expect_problems(whole, {"test run": "broken"})
        assert "runs/create at https://localhost:" in found["test run"]["seen"]
    finally:
        sql(whole, "GRANT INSERT ON runs TO mlflow")
    wait_until_healthy(whole)


def test_the_doctors_experiment_is_brought_back_when_somebody_has_deleted_it(whole: Deployment) -> None:
    wait_until_healthy(whole)
    sql(whole, f"UPDATE experiments SET lifecycle_stage = 'deleted' WHERE name = '{test_run.EXPERIMENT}'")
    wait_until_healthy(whole)


def test_a_front_door_at_another_port(whole: Deployment) -> None:
    verdict = test_run.check(subject_with(whole, tracking_url="https://localhost:1"))
    assert verdict.state.value == "broken"
    assert "experiments/get-by-name at https://localhost:1 got no answer" in verdict.seen


def test_a_stack_that_was_never_up_is_broken(whole: Deployment) -> None:
    found = checks(whole, f"{whole.name}-not")
    assert found["stack"]["mend"] == f"make up STACK={whole.name}-not"
    assert found["containers"]["seen"] == "mlflow is missing; postgres is missing; schema is missing"

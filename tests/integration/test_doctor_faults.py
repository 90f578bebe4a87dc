"""`make doctor` on a stack whose disk, connections, containers, certificate or image has a fault, and is mended.

In the order of the file: one test's `up` mends the fault of the test before.
"""

from __future__ import annotations

import subprocess
from contextlib import ExitStack

import psycopg
import pytest

from .doctor import (
    certificate,
    checks,
    expect_problems,
    occupy_connections,
    problems,
    run_remedy,
    sql,
    wait_until_healthy,
)
from .everything import EverythingOn
from .harness import Deployment

# A server whose requests are served without uvloop: it is not there, and nothing asks for it.
WITHOUT_UVLOOP = "\nRUN rm -rf /opt/mlflow/venv/lib/python3*/site-packages/uvloop\n"


@pytest.fixture
def complete(everything_on: EverythingOn) -> Deployment:
    """Its artifacts are in a volume of 1.2 GB, in memory."""
    return everything_on.stack


def test_a_disk_that_is_nearly_full(complete: Deployment) -> None:
    complete.execute("mlflow", "fallocate", "-l", "300M", "/mlartifacts/ballast")
    try:
        found = expect_problems(complete, {"disk": "broken"})
        assert "artifacts has 0.9 GiB free, 75%: it must be 5% and 1 GiB" in found["disk"]["seen"]
    finally:
        complete.execute("mlflow", "rm", "/mlartifacts/ballast")
    wait_until_healthy(complete)


def test_a_role_that_has_all_its_connections(complete: Deployment) -> None:
    outputs = complete.outputs()
    with ExitStack() as held:
        for _ in range(20):
            held.enter_context(
                psycopg.connect(
                    host=outputs["postgres_host"],
                    port=outputs["postgres_port"],
                    dbname=outputs["postgres_database"],
                    user=outputs["postgres_readonly_user"],
                    password=outputs["postgres_readonly_password"],
                )
            )
        expect_problems(complete, {"connections": "warning"})
        assert "mlflow_readonly uses 20 of its 20 connections" in checks(complete)["connections"]["seen"]
    wait_until_healthy(complete)


def test_connections_that_are_used_up_but_for_a_superusers(complete: Deployment) -> None:
    occupy_connections(complete, int(sql(complete, "SHOW max_connections")) - 3)
    assert problems(complete)["connections"] == "broken"
    run_remedy(complete, checks(complete)["connections"])


def test_an_index_and_services_that_are_gone(complete: Deployment) -> None:
    """One `up` brings all of them back. What it is told to bring along is the next test's fault."""
    sql(complete, "DROP INDEX mlflow_postgres_tags_value")
    found = expect_problems(complete, {"indexes": "warning"})
    remove = f"docker rm --force {complete.prefix}-schema"
    assert found["indexes"]["mend"] == f"{remove} && make up STACK={complete.name}"
    complete.container("gateway").remove(force=True)
    found = expect_problems(complete, {"indexes": "warning", "containers": "broken"})
    assert found["containers"]["seen"] == "gateway is missing"
    complete.container("mlflow").stop()
    expect_problems(complete, {"containers": "broken"})
    subprocess.run(remove.split(), check=True, capture_output=True)
    certificate(complete, days=10)
    # `make up` is this and a look at what is unwell.
    complete.up()


def test_a_certificate_that_ends_soon_and_then_has_ended(complete: Deployment) -> None:
    found = expect_problems(complete, {"certificate": "warning"})
    assert "that of localhost expires in 10 days" in found["certificate"]["seen"]
    certificate(complete, days=-3)
    complete.up()
    # No client accepts it, and so the doctor does not.
    found = expect_problems(complete, {"certificate": "broken", "test run": "broken"})
    assert "that of localhost expired 3 days ago: no client accepts it" in found["certificate"]["seen"]
    assert "certificate has expired" in found["test run"]["seen"]
    # The next test's `up` delivers it.
    certificate(complete, days=60)


def test_a_server_without_its_fast_event_loop(complete: Deployment) -> None:
    """An image that somebody has built otherwise."""
    paths = ("images/mlflow/Dockerfile", "server/src/mlflow_postgres/runtime/preloaded.py")
    files = {path: path.read_text() for path in (complete.project / each for each in paths)}
    dockerfile, preloaded = files
    dockerfile.write_text(files[dockerfile] + WITHOUT_UVLOOP)
    lines = files[preloaded].splitlines(keepends=True)
    preloaded.write_text("".join(line for line in lines if not line.startswith("import uvloop")))

    try:
        complete.up()
        found = expect_problems(complete, {"libraries": "warning"})
        assert found["libraries"]["seen"] == "uvloop not in use: requests are slower"
    finally:
        for path, text in files.items():
            path.write_text(text)
    complete.up()
    wait_until_healthy(complete)

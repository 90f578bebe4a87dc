"""`make doctor` on a stack whose disk, network, image or version has a fault that is made for it, and is mended."""

from __future__ import annotations

from contextlib import ExitStack

import psycopg
import pytest

from .doctor import (
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


def test_a_service_that_is_gone(complete: Deployment) -> None:
    complete.container("gateway").remove(force=True)
    found = expect_problems(complete, {"containers": "broken"})
    assert found["containers"]["seen"] == "gateway is missing"
    complete.up()
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
        assert "mlflow_readonly has 20 of the 20 that it may have" in checks(complete)["connections"]["seen"]
    wait_until_healthy(complete)


def test_connections_that_are_used_up_but_for_a_superusers(complete: Deployment) -> None:
    occupy_connections(complete, int(sql(complete, "SHOW max_connections")) - 3)
    assert problems(complete)["connections"] == "broken"
    run_remedy(complete, checks(complete)["connections"])


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

"""`make doctor` on a stack whose disk, network, image or version has a fault that is made for it, and is mended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import psycopg
import pytest
from docker import DockerClient

from contract.labels import ROLE, STACK

from .examined import certificate, checks, mended, sql, taken, unwell, wait_until, wait_until_well
from .harness import Deployment, deployment

# A server whose requests are served without uvloop: it is not there, and nothing asks for it.
WITHOUT_UVLOOP = "\nRUN rm -rf /opt/mlflow/venv/lib/python3*/site-packages/uvloop\n"


@pytest.fixture(scope="module")
def stack(engine: DockerClient) -> Iterator[Deployment]:
    """A stack with a front door, whose artifacts are on a disk of their own: 1.2 GB of memory."""
    with deployment(engine, hostname="localhost", tls="files") as made:
        name = f"{made.prefix}-mlflow-artifacts"
        engine.volumes.create(
            name,
            driver="local",
            driver_opts={"type": "tmpfs", "device": "tmpfs", "o": "size=1200m,uid=65534,gid=65534,mode=755"},
            labels={STACK: made.prefix, ROLE: "mlflow-artifacts"},
        )
        certificate(made, days=60)
        made.up()
        wait_until_well(made)
        yield made


def test_a_disk_that_is_nearly_full(stack: Deployment) -> None:
    stack.execute("mlflow", "fallocate", "-l", "300M", "/mlartifacts/ballast")
    try:
        assert unwell(stack) == {"disk": "broken"}
        assert "artifacts has 0.9 GiB free, 75%: it must be 5% and 1 GiB" in checks(stack)["disk"]["seen"]
    finally:
        stack.execute("mlflow", "rm", "/mlartifacts/ballast")
    wait_until_well(stack)


def test_a_service_that_is_gone(stack: Deployment) -> None:
    stack.container("gateway").remove(force=True)
    assert unwell(stack) == {"containers": "broken"}
    assert checks(stack)["containers"]["seen"] == "gateway is gone"
    stack.up()
    wait_until_well(stack)


def test_a_certificate_that_has_ended(stack: Deployment) -> None:
    certificate(stack, days=-3)
    stack.up()
    # No client takes it, and so the doctor does not.
    assert unwell(stack) == {"certificate": "broken", "test run": "broken"}
    found = checks(stack)
    assert "that of localhost ended 3 days ago: no client accepts it" in found["certificate"]["seen"]
    assert "certificate has expired" in found["test run"]["seen"]
    certificate(stack, days=60)
    stack.up()
    wait_until_well(stack)


def test_a_role_that_has_all_its_connections(stack: Deployment) -> None:
    outputs = stack.outputs()
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
        wait_until(stack, {"connections": "warning"})
        assert "mlflow_readonly has 20 of the 20 that it may have" in checks(stack)["connections"]["seen"]
    wait_until_well(stack)


def test_connections_that_are_used_up_but_for_a_superusers(stack: Deployment) -> None:
    taken(stack, int(sql(stack, "SHOW max_connections")) - 3)
    assert unwell(stack)["connections"] == "broken"
    mended(stack, "connections")


def test_a_server_without_its_fast_event_loop(stack: Deployment) -> None:
    """An image that somebody has built otherwise."""
    folder = stack.project / "images" / "mlflow"
    files = {path: path.read_text() for path in (folder / "Dockerfile", folder / "preloaded.py")}
    dockerfile, preloaded = files
    dockerfile.write_text(files[dockerfile] + WITHOUT_UVLOOP)
    lines = files[preloaded].splitlines(keepends=True)
    preloaded.write_text("".join(line for line in lines if not line.startswith("import uvloop")))

    stack.up()
    assert unwell(stack) == {"libraries": "warning"}
    assert checks(stack)["libraries"]["seen"] == "uvloop not in use: requests are slower"
    for path, text in files.items():
        path.write_text(text)
    stack.up()
    wait_until_well(stack)

"""What breaks while clients write: nothing that was acknowledged is lost, and the service is back by itself.

The engine itself is not killed here: it is everybody's. docs/production.md says how that was tried.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import psycopg
import pytest

from contract.labels import STACK

from .harness import Deployment, wait_for, workers
from .limits import RECOVERY
from .load import Load


@pytest.fixture(scope="module")
def load(small_volumes: Deployment) -> Iterator[Load]:
    """Eight clients, which write through all the faults."""
    with Load(small_volumes.outputs()["tracking_url"], clients=8) as clients:
        yield clients


def kill(process: int) -> None:
    os.kill(process, signal.SIGKILL)


def children(process: int) -> list[int]:
    with open(f"/proc/{process}/task/{process}/children") as listing:
        return [int(child) for child in listing.read().split()]


def program(process: int) -> str:
    with open(f"/proc/{process}/comm") as name:
        return name.read().strip()


def main_process(stack: Deployment, role: str) -> int:
    """Process id, on the host, of the container's init."""
    return int(stack.container(role).attrs["State"]["Pid"])


def killed_database(stack: Deployment) -> None:
    """SIGKILL to PostgreSQL's first process; its children see it and end."""
    before = restarts(stack, "postgres")
    kill(next(child for child in children(main_process(stack, "postgres")) if program(child) == "postgres"))
    wait_for(lambda: restarts(stack, "postgres") > before, "a restart")


def killed_worker(stack: Deployment) -> None:
    kill(workers(stack).pop())


def killed_server(stack: Deployment) -> None:
    """SIGKILL to the container's init, and with it to everything in the container."""
    before = restarts(stack, "mlflow")
    kill(main_process(stack, "mlflow"))
    wait_for(lambda: restarts(stack, "mlflow") > before, "a restart")


def paused_database(stack: Deployment) -> None:
    """For 30 seconds, which are the fault itself."""
    container = stack.container("postgres")
    container.pause()
    try:
        with pytest.raises(AssertionError, match="waited 30 s in vain"):
            wait_for(lambda: False, "the pause to end", 30)
    finally:
        container.unpause()


def full_volume(stack: Deployment) -> None:
    """Filled to the brim until a client is told so; then there is space again."""
    fill = ["sh", "-c", "cat /dev/zero > /var/lib/postgresql/data/ballast; ls -s /var/lib/postgresql/data/ballast"]
    stack.container("postgres").exec_run(fill)
    wait_for(lambda: not can_write(stack), "an error for a client")
    emptied = stack.engine.containers.run(
        stack.image("postgres"),
        entrypoint=["rm", "/held/ballast"],
        user="999:999",
        volumes={f"{stack.prefix}-postgres-data": {"bind": "/held"}},
        labels={STACK: stack.prefix},
        network_mode="none",
        detach=True,
    )
    emptied.wait()
    emptied.remove(v=True)


def can_write(stack: Deployment) -> bool:
    """Whether the database takes a megabyte that it did not have space for so far."""
    address = stack.outputs()["backend_store_uri"].replace("+psycopg", "")
    try:
        with psycopg.connect(address, connect_timeout=5) as session:
            session.execute(
                "INSERT INTO experiment_tags (key, value, experiment_id) SELECT 'key-' || n,"
                " (SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 100)), 0"
                " FROM generate_series(1, 300) AS n"
            )
            session.rollback()
    except psycopg.Error:
        return False
    return True


def restarts(stack: Deployment, role: str) -> int:
    return int(stack.container(role).attrs["RestartCount"])


@pytest.mark.parametrize(
    "fault",
    [killed_worker, killed_server, killed_database, paused_database, full_volume],
    ids=lambda fault: fault.__name__,
)
def test_nothing_acknowledged_is_lost(
    small_volumes: Deployment, load: Load, fault: Callable[[Deployment], None]
) -> None:
    load.wait_for_writes(100)
    fault(small_volumes)
    wait_for(small_volumes.answers, f"an answer after {fault.__name__}", RECOVERY)
    load.wait_for_writes(100)
    with psycopg.connect(small_volumes.outputs()["backend_store_uri"].replace("+psycopg", "")) as connection:
        assert load.missing(connection) == []


def test_the_plan_is_empty_after_all_of_it(small_volumes: Deployment) -> None:
    small_volumes.preview_unchanged()

"""Data outlives everything but an explicit order to delete it. In the order of a stack's life."""

from __future__ import annotations

import psycopg
import pytest
from mlflow import MlflowClient

from .harness import Deployment, free_ports, kill


def sign_in(stack: Deployment, password: str) -> None:
    outputs = stack.outputs()
    address = {"host": outputs["postgres_host"], "port": outputs["postgres_port"], "dbname": "mlflow"}
    psycopg.connect(user="mlflow", password=password, **address).close()


def runs(stack: Deployment) -> set[str]:
    client = MlflowClient(stack.outputs()["tracking_url"])
    return {run.info.run_id for run in client.search_runs(["0"])}


@pytest.fixture(scope="module")
def run_id(own_stack: Deployment) -> str:
    own_stack.up()
    client = MlflowClient(own_stack.outputs()["tracking_url"])
    run_id: str = client.create_run("0").info.run_id
    client.log_text(run_id, "kept", "note.txt")
    return run_id


@pytest.fixture(scope="module")
def first_password(own_stack: Deployment, run_id: str) -> str:
    assert run_id in runs(own_stack)
    return str(own_stack.outputs()["postgres_password"])


def test_containers_removed_by_hand_come_back_with_every_run(own_stack: Deployment, run_id: str) -> None:
    for role in ("mlflow", "postgres"):
        own_stack.container(role).remove(force=True)
    own_stack.up()
    assert runs(own_stack) == {run_id}
    own_stack.preview_unchanged()


@pytest.mark.parametrize("end", ["stop", "kill", "restart"])
def test_when_up_returns_a_server_that_was_ended_by_hand_answers(own_stack: Deployment, run_id: str, end: str) -> None:
    for role in ("postgres", "mlflow"):
        getattr(own_stack.container(role), end)()
    own_stack.up()
    assert own_stack.answers()
    assert runs(own_stack) == {run_id}


def test_a_changed_image_and_another_port_replace_the_servers_and_keep_the_runs(
    own_stack: Deployment, run_id: str
) -> None:
    """Killed in the middle, too: the old server is gone by then, and the new one is in no state."""
    for role in ("postgres", "mlflow"):
        with (own_stack.project / "images" / role / "bin" / "serve").open("a") as script:
            script.write("# another version\n")
    (port,) = free_ports(1)
    own_stack.configure(mlflowPort=port)
    old = own_stack.container("mlflow").id

    def the_server_is_replaced(stack: Deployment) -> bool:
        return any(each.name == f"{stack.prefix}-mlflow" and each.id != old for each in stack.engine.containers.list())

    kill(own_stack, the_server_is_replaced, "up")
    own_stack.up()
    assert own_stack.answers()
    assert runs(own_stack) == {run_id}
    own_stack.preview_unchanged()


@pytest.mark.usefixtures("run_id", "first_password")
def test_destroy_keeps_the_volumes_and_says_so(own_stack: Deployment) -> None:
    own_stack.destroy()
    volumes = {f"{own_stack.prefix}-mlflow-artifacts", f"{own_stack.prefix}-postgres-data"}
    assert own_stack.objects() == {"containers": set(), "networks": set(), "images": set(), "volumes": volumes}
    assert volumes <= set(own_stack.ops("kept").replace(",", "").split())


def test_the_next_up_finds_every_run_and_has_a_new_password(
    own_stack: Deployment, run_id: str, first_password: str
) -> None:
    own_stack.up()
    assert runs(own_stack) == {run_id}
    text = MlflowClient(own_stack.outputs()["tracking_url"]).download_artifacts(run_id, "note.txt")
    with open(text) as note:
        assert note.read() == "kept"
    password = own_stack.outputs()["postgres_password"]
    assert password != first_password
    sign_in(own_stack, password)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        sign_in(own_stack, first_password)


@pytest.mark.usefixtures("run_id")
def test_the_superuser_cannot_sign_in_over_the_network(own_stack: Deployment) -> None:
    outputs = own_stack.outputs()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(
            host=outputs["postgres_host"],
            port=outputs["postgres_port"],
            dbname="postgres",
            user="postgres",
            password=outputs["postgres_password"],
        )


@pytest.mark.usefixtures("run_id")
def test_without_keep_data_destroy_leaves_nothing_on_the_engine(own_stack: Deployment) -> None:
    own_stack.configure(keepData=False)
    own_stack.up()
    own_stack.destroy()
    assert own_stack.objects() == {"containers": set(), "networks": set(), "images": set(), "volumes": set()}

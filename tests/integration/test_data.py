"""Data outlives everything but an explicit order to delete it. In the order of a stack's life."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest
from mlflow import MlflowClient

from .harness import NOTHING, Deployment, free_ports, kill, running


def runs(stack: Deployment) -> set[str]:
    client = MlflowClient(stack.outputs()["tracking_url"])
    return {run.info.run_id for run in client.search_runs(["0"])}


@dataclass(frozen=True)
class Past:
    """What a later life of the stack must find again, and must not."""

    run_id: str
    password: str
    key: str


@pytest.fixture(scope="module")
def past(own_stack: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    """A run, and the authority that every client trusts from now on, whatever is done to the stack."""
    own_stack.configure(hostname="localhost", tls="internal")
    own_stack.up()
    authority = tmp_path_factory.mktemp("trusted") / "root.crt"
    authority.write_text(own_stack.execute("gateway", "cat", "/data/caddy/pki/authorities/local/root.crt"))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(authority))
        client = MlflowClient(own_stack.outputs()["tracking_url"])
        run_id: str = client.create_run("0").info.run_id
        client.log_text(run_id, "kept", "note.txt")
        yield Past(
            run_id=run_id,
            password=str(own_stack.outputs()["postgres_password"]),
            key=own_stack.execute("mlflow", "cat", "/keys/kek-2"),
        )


def test_containers_removed_by_hand_come_back_with_every_run(own_stack: Deployment, past: Past) -> None:
    for role in ("mlflow", "postgres", "schema", "postgres-courier", "gateway-courier"):
        own_stack.container(role).remove(force=True, v=True)
    own_stack.up()
    assert runs(own_stack) == {past.run_id}
    own_stack.preview_unchanged()


@pytest.mark.parametrize("end", ["stop", "kill", "restart"])
def test_when_up_returns_a_server_that_was_ended_by_hand_answers(own_stack: Deployment, past: Past, end: str) -> None:
    for role in ("postgres", "mlflow", "gateway"):
        getattr(own_stack.container(role), end)()
    own_stack.up()
    assert own_stack.ask()
    assert runs(own_stack) == {past.run_id}


def test_a_changed_image_and_another_port_replace_the_servers_and_keep_the_runs(
    own_stack: Deployment, past: Past
) -> None:
    """Killed in the middle, too: the old server is gone by then, and the new one is in no state."""
    for source in ("images/postgres/bin/serve", "server/src/mlflow_postgres/runtime/serve.py"):
        with (own_stack.project / source).open("a") as script:
            script.write("# another version\n")
    (port,) = free_ports(1)
    own_stack.configure(httpsPort=port)
    old, volumes = own_stack.container("mlflow").id, own_stack.mounted_volumes()

    def the_server_is_replaced(stack: Deployment) -> bool:
        return any(each.name == f"{stack.prefix}-mlflow" and each.id != old for each in running(stack.engine))

    kill(own_stack, the_server_is_replaced, "up")
    own_stack.up()
    left = (volumes - own_stack.mounted_volumes()) & all_volumes(own_stack)
    assert not left, "volumes without a name, of servers that are gone"
    assert own_stack.ask()
    assert runs(own_stack) == {past.run_id}
    own_stack.preview_unchanged()


@pytest.mark.usefixtures("past")
def test_destroy_keeps_what_holds_data_and_says_so(own_stack: Deployment) -> None:
    mounted = own_stack.mounted_volumes()
    own_stack.destroy()
    roles = ("mlflow-artifacts", "postgres-data", "backups", "keys", "gateway-data")
    volumes = {f"{own_stack.prefix}-{role}" for role in roles}
    assert own_stack.objects() == {**NOTHING, "volumes": volumes}
    assert mounted & all_volumes(own_stack) == volumes
    assert volumes <= set(own_stack.ops("kept").replace(",", "").split())


def test_the_next_up_finds_every_run_key_and_certificate_and_has_a_new_password(
    own_stack: Deployment, past: Past
) -> None:
    own_stack.up()
    assert runs(own_stack) == {past.run_id}, "by a client that trusts the authority of before"
    text = MlflowClient(own_stack.outputs()["tracking_url"]).download_artifacts(past.run_id, "note.txt")
    with open(text) as note:
        assert note.read() == "kept"
    assert own_stack.execute("mlflow", "cat", "/keys/kek-2") == past.key
    assert own_stack.outputs()["postgres_password"] != past.password
    own_stack.database().close()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        own_stack.database(past.password)
    own_stack.preview_unchanged()


@pytest.mark.usefixtures("past")
def test_without_keep_data_destroy_leaves_nothing_on_the_engine(own_stack: Deployment) -> None:
    own_stack.configure(keepData=False)
    own_stack.up()
    mounted = own_stack.mounted_volumes()
    own_stack.destroy()
    assert own_stack.objects() == NOTHING
    assert not mounted & all_volumes(own_stack)


def all_volumes(stack: Deployment) -> set[str]:
    """Names of the volumes of the whole engine."""
    return {str(each.name) for each in stack.engine.volumes.list()}

"""Data outlives everything but an explicit order to delete it.

In the order of a stack's life, which has begun in test_interrupted.py.
"""

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
def past(hurt_stack: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    """A run, and the authority that every client trusts from now on, whatever is done to the stack."""
    hurt_stack.configure(hostname="localhost", tls="internal", keepData=True)
    hurt_stack.up()
    authority = tmp_path_factory.mktemp("trusted") / "root.crt"
    authority.write_text(hurt_stack.execute("gateway", "cat", "/data/caddy/pki/authorities/local/root.crt"))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(authority))
        client = MlflowClient(hurt_stack.outputs()["tracking_url"])
        run_id: str = client.create_run("0").info.run_id
        client.log_text(run_id, "kept", "note.txt")
        yield Past(
            run_id=run_id,
            password=str(hurt_stack.outputs()["postgres_password"]),
            key=hurt_stack.execute("mlflow", "cat", "/keys/kek-2"),
        )


def test_containers_removed_by_hand_come_back_with_every_run(hurt_stack: Deployment, past: Past) -> None:
    for role in ("mlflow", "postgres", "schema", "postgres-courier", "gateway-courier"):
        hurt_stack.container(role).remove(force=True, v=True)
    hurt_stack.up()
    assert runs(hurt_stack) == {past.run_id}
    hurt_stack.preview_unchanged()


@pytest.mark.parametrize(
    "ends",
    [
        {"postgres": "kill", "mlflow": "stop", "gateway": "kill"},
        {"postgres": "restart", "mlflow": "restart", "gateway": "restart"},
    ],
    ids=["ended", "restarted"],
)
def test_when_up_returns_a_server_that_was_ended_by_hand_answers(
    hurt_stack: Deployment, past: Past, ends: dict[str, str]
) -> None:
    for role, end in ends.items():
        getattr(hurt_stack.container(role), end)()
    hurt_stack.up()
    assert hurt_stack.ask()
    assert runs(hurt_stack) == {past.run_id}


@pytest.mark.usefixtures("past")
def test_destroy_keeps_what_holds_data_and_says_so(hurt_stack: Deployment) -> None:
    mounted = hurt_stack.mounted_volumes()
    hurt_stack.destroy()
    roles = ("mlflow-artifacts", "postgres-data", "backups", "keys", "gateway-data")
    volumes = {f"{hurt_stack.prefix}-{role}" for role in roles}
    assert hurt_stack.objects() == {**NOTHING, "volumes": volumes}
    assert mounted & all_volumes(hurt_stack) == volumes
    assert volumes <= set(hurt_stack.ops("kept").replace(",", "").split())


def test_the_next_up_finds_every_run_key_and_certificate_and_has_a_new_password(
    hurt_stack: Deployment, past: Past
) -> None:
    hurt_stack.up()
    assert runs(hurt_stack) == {past.run_id}, "by a client that trusts the authority of before"
    text = MlflowClient(hurt_stack.outputs()["tracking_url"]).download_artifacts(past.run_id, "note.txt")
    with open(text) as note:
        assert note.read() == "kept"
    assert hurt_stack.execute("mlflow", "cat", "/keys/kek-2") == past.key
    assert hurt_stack.outputs()["postgres_password"] != past.password
    hurt_stack.database().close()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        hurt_stack.database(past.password)
    hurt_stack.preview_unchanged()


def test_a_changed_image_and_another_port_replace_the_servers_and_keep_the_runs(
    hurt_stack: Deployment, past: Past
) -> None:
    """Killed in the middle, too: the old server is gone by then, and the new one is in no state."""
    for source in ("images/postgres/bin/serve", "server/src/mlflow_postgres/runtime/serve.py"):
        with (hurt_stack.project / source).open("a") as script:
            script.write("# another version\n")
    (port,) = free_ports(1)
    hurt_stack.configure(httpsPort=port, keepData=False)
    old, volumes = hurt_stack.container("mlflow").id, hurt_stack.mounted_volumes()

    def the_server_is_replaced(stack: Deployment) -> bool:
        return any(each.name == f"{stack.prefix}-mlflow" and each.id != old for each in running(stack.engine))

    kill(hurt_stack, the_server_is_replaced, "up")
    hurt_stack.up()
    left = (volumes - hurt_stack.mounted_volumes()) & all_volumes(hurt_stack)
    assert not left, "volumes without a name, of servers that are gone"
    assert hurt_stack.ask()
    assert runs(hurt_stack) == {past.run_id}
    hurt_stack.preview_unchanged()


@pytest.mark.usefixtures("past")
def test_without_keep_data_a_destroy_that_was_killed_is_finished_by_the_next_and_leaves_nothing(
    hurt_stack: Deployment,
) -> None:
    def the_server_is_gone(stack: Deployment) -> bool:
        return f"{stack.prefix}-mlflow" not in stack.objects()["containers"]

    mounted = hurt_stack.mounted_volumes()
    kill(hurt_stack, the_server_is_gone, "destroy")
    hurt_stack.destroy()
    assert hurt_stack.objects() == NOTHING
    assert not mounted & all_volumes(hurt_stack)


def all_volumes(stack: Deployment) -> set[str]:
    """Names of the volumes of the whole engine."""
    return {str(each.name) for each in stack.engine.volumes.list()}

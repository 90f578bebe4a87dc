"""Every generated secret made anew, on the data as it is, while clients write."""

from __future__ import annotations

import base64
import json
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass

import psycopg
import pytest

from .everything import EverythingOn
from .harness import Deployment, wait_for, workers
from .limits import REQUEST
from .load import Load, Report, Write

SEALED = "3.0/mlflow/gateway/secrets/create"

# In the server's container, with the server's own settings.
OPEN = """
import os, psycopg
from mlflow.utils.crypto import KEKManager, _decrypt_secret
with psycopg.connect(os.environ["MLFLOW_BACKEND_STORE_URI"].replace("+mlflow", "")) as connection:
    version, *sealed, ident, name = connection.execute(
        "SELECT kek_version, encrypted_value, wrapped_dek, secret_id, secret_name FROM secrets").fetchone()
print(version, _decrypt_secret(*sealed, KEKManager(), ident, name)["api_key"])
"""


@dataclass
class Rotation:
    """A stack whose credentials were made anew under load, with its secrets of before and after."""

    stack: Deployment
    before: dict[str, str]
    after: dict[str, str]
    report: Report
    missing: list[Write]
    stopped: set[str]
    """Roles whose containers are not those of before."""
    workers: set[int]
    """Process ids of the server's workers before."""


@pytest.fixture(scope="module")
def rotated(everything_on: EverythingOn) -> Rotation:
    stack = everything_on.stack
    before = stack.outputs()
    # The clients sign in as somebody whose password no rotation touches.
    create_administrator(stack, before["admin_password"], "writer", "a-password-of-a-test")
    ask(stack, "POST", SEALED, before["admin_password"], {
        "secret_name": "sealed", "secret_value": {"api_key": "what-is-sealed"}, "provider": "openai",
    })  # fmt: skip
    environment = {
        "MLFLOW_TRACKING_USERNAME": "writer",
        "MLFLOW_TRACKING_PASSWORD": "a-password-of-a-test",
        "MLFLOW_TRACKING_SERVER_CERT_PATH": str(stack.certificate),
    }
    running = {role: stack.container(role).attrs["State"]["StartedAt"] for role in ("postgres", "mlflow")}
    old_workers = workers(stack)
    with Load(before["tracking_url"], clients=8, environment=environment) as load:
        load.wait_for_writes(200)
        stack.configure(credentialsVersion=2)
        stack.up()
        load.wait_for_writes(200)
    after = stack.outputs()
    with psycopg.connect(uri(after)) as connection:
        missing = load.missing(connection)
    stopped = {role for role, since in running.items() if stack.container(role).attrs["State"]["StartedAt"] != since}
    return Rotation(stack, before, after, load.report, missing, stopped, old_workers)


def uri(outputs: dict[str, str]) -> str:
    return outputs["backend_store_uri"].replace("+psycopg", "")


def create_administrator(stack: Deployment, admin_password: str, name: str, password: str) -> None:
    """One more administrator, so that it may write into every experiment."""
    ask(stack, "POST", "2.0/mlflow/users/create", admin_password, {"username": name, "password": password})
    ask(stack, "PATCH", "2.0/mlflow/users/update-admin", admin_password, {"username": name, "is_admin": True})


def ask(stack: Deployment, method: str, path: str, admin_password: str, body: dict[str, object]) -> None:
    """A call of MLflow's API by the administrator; a test fails if the call does."""
    assert send(stack, "admin", admin_password, path, method, body) == 200


def send(
    stack: Deployment,
    user: str,
    password: str,
    path: str = "2.0/mlflow/experiments/search?max_results=1",
    method: str = "GET",
    body: dict[str, object] | None = None,
) -> int:
    """The status of a call of MLflow's API."""
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    request = urllib.request.Request(
        f"{stack.outputs()['tracking_url']}/api/{path}",
        method=method,
        data=json.dumps(body).encode() if body else None,
        headers={"Content-Type": "application/json", "Authorization": f"Basic {token}"},
    )
    trust = ssl.create_default_context(cafile=str(stack.certificate))
    try:
        with urllib.request.urlopen(request, timeout=REQUEST, context=trust) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_no_write_that_was_acknowledged_is_lost(rotated: Rotation) -> None:
    assert len(rotated.report.acknowledged) >= 400
    assert rotated.missing == []


def test_no_error_reaches_a_client(rotated: Rotation) -> None:
    assert rotated.report.errors == []


@pytest.mark.parametrize("output", [
    "postgres_password", "postgres_readonly_password", "backend_store_uri", "admin_password",
])  # fmt: skip
def test_every_secret_output_is_new(rotated: Rotation, output: str) -> None:
    assert rotated.before[output] != rotated.after[output]


@pytest.mark.parametrize("role", ["postgres", "postgres_readonly"])
def test_the_old_password_of_a_role_is_refused(rotated: Rotation, role: str) -> None:
    after, user, password = rotated.after, rotated.after[f"{role}_user"], rotated.before[f"{role}_password"]
    there = f"host={after['postgres_host']} port={after['postgres_port']} user={user} dbname=mlflow"
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"{there} password={password}").close()
    psycopg.connect(f"{there} password={after[f'{role}_password']}").close()


def test_who_is_no_administrator_any_more_is_refused_at_once_by_every_worker(rotated: Rotation) -> None:
    """Only administrators may read another user. A worker remembers the password by then, but not the rank."""
    stack, password = rotated.stack, rotated.after["admin_password"]
    create_administrator(stack, password, "deputy", "another-password-of-a-test")
    secret = ("deputy", "another-password-of-a-test")
    other = "2.0/mlflow/users/get?username=admin"
    assert {send(stack, *secret, other) for _ in range(20)} == {200}
    ask(stack, "PATCH", "2.0/mlflow/users/update-admin", password, {"username": "deputy", "is_admin": False})
    assert {send(stack, *secret, other) for _ in range(20)} == {403}
    assert send(stack, *secret) == 200
    ask(stack, "DELETE", "2.0/mlflow/users/delete", password, {"username": "deputy"})
    assert send(stack, *secret, other) in (401, 404)


def test_the_administrators_old_password_is_refused(rotated: Rotation) -> None:
    assert send(rotated.stack, "admin", rotated.before["admin_password"]) == 401
    assert send(rotated.stack, "admin", rotated.after["admin_password"]) == 200


def test_whoever_is_no_generated_user_signs_in_as_before(rotated: Rotation) -> None:
    assert send(rotated.stack, "writer", "a-password-of-a-test") == 200


def test_whoever_only_reads_sees_no_hash_of_a_password(rotated: Rotation) -> None:
    asked = "SELECT has_table_privilege('mlflow_readonly', oid, 'SELECT'), relname FROM pg_class"
    listed = rotated.stack.execute(
        "postgres", "psql", "-U", "postgres", "-d", "mlflow", "-Atc", f"{asked} WHERE relname IN ('runs', 'users')"
    )
    assert set(listed.split()) == {"t|runs", "f|users"}


def test_the_keys_passphrase_is_new_and_the_old_one_is_kept_for_old_dumps(rotated: Rotation) -> None:
    old, new, current, version = (
        rotated.stack.execute("mlflow", "cat", f"/keys/{name}")
        for name in ("kek-2", "kek-3", "current/passphrase", "current/version")
    )
    assert len(new) >= 32
    assert old != new
    assert (current, version) == (new, "3")


def test_what_the_old_passphrase_sealed_is_opened_with_the_new_one(rotated: Rotation) -> None:
    # `serve` gives a command the secrets of the server.
    assert rotated.stack.execute("mlflow", "serve", "python", "-c", OPEN).split() == ["3", "what-is-sealed"]


def test_neither_the_database_nor_the_server_was_stopped(rotated: Rotation) -> None:
    assert rotated.stopped == set()


def test_every_worker_is_new(rotated: Rotation) -> None:
    """It reads the key of its forms once, at its start."""
    wait_for(lambda: not rotated.workers & workers(rotated.stack), "every worker to be a new one")
    assert len(workers(rotated.stack)) == 2


def test_nothing_is_planned_afterwards(rotated: Rotation) -> None:
    rotated.stack.preview_unchanged()


def test_a_version_that_falls_is_refused_before_anything_is_touched(rotated: Rotation) -> None:
    rotated.stack.configure(credentialsVersion=1)
    said = rotated.stack.preview(fails=True)
    rotated.stack.configure(credentialsVersion=2)
    assert "credentialsVersion is 1: it only rises, and was 2 already" in said
    assert "bin/pulumi config set credentialsVersion 2" in said

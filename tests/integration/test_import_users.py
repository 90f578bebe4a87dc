"""Users come along with their passwords and with what they may do, which is about the same things here."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

from .harness import ROOT, Deployment
from .limits import REQUEST
from .old_stores import copy_from_container

PASSWORD = "a password of anna's"
SCRIPT = (ROOT / "server" / "tests" / "import_users.py").read_text()


@dataclass(frozen=True)
class Files:
    """A store, and the users of its server."""

    store: Path
    users: Path


@pytest.fixture(scope="module")
def old(empty_stack: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("old")
    empty_stack.execute("mlflow", "mkdir", "/tmp/users")
    uris = [f"sqlite:////tmp/users/{name}" for name in ("mlflow.db", "users.db")]
    empty_stack.execute("mlflow", "python", "-W", "ignore", "-c", SCRIPT, "make", *uris, PASSWORD)
    copy_from_container(empty_stack, "/tmp/users", folder)
    return Files(folder / "users" / "mlflow.db", folder / "users" / "users.db")


@pytest.fixture(scope="module")
def new(empty_stack: Deployment, old: Files) -> Deployment:
    """The stack with sign-in, which it did not have before."""
    assert old
    empty_stack.configure(signIn=True)
    empty_stack.up()
    return empty_stack


def ask(stack: Deployment, user: str, path: str, password: str = PASSWORD, method: str = "", **body: str) -> int:
    """What MLflow answers to somebody: 403 for what that one may not."""
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{stack.settings['mlflowPort']}/api/{path}",
        data=json.dumps(body).encode() if body else None,
        headers={"Authorization": f"Basic {token}", "Content-Type": "application/json"},
        method=method or None,
    )
    try:
        with urllib.request.urlopen(request, timeout=REQUEST) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def rows(stack: Deployment, query: str) -> list[tuple[object, ...]]:
    with stack.database() as session:
        return session.execute(query.encode()).fetchall()


def test_users_sign_in_here_with_their_passwords_and_may_do_the_same(new: Deployment, old: Files) -> None:
    outputs = new.outputs()
    administrator = outputs["admin_username"], outputs["admin_password"]
    # So that every id will be another one.
    for name in ("taken-1", "taken-2"):
        assert ask(new, administrator[0], "2.0/mlflow/experiments/create", administrator[1], name=name) == 200
    digest = old.users.read_bytes()
    printed = new.ops("import", "--users", str(old.users), str(old.store))
    assert "same on both sides: users, 3 rows" in printed
    assert "user 'admin' not imported: it is this stack's administrator" in printed
    assert "imported administrators: chief" in printed
    assert "1 of role_permissions not imported: their resources are not imported" in printed
    assert "1 of role_permissions apply to all resources of a type" in printed
    assert old.users.read_bytes() == digest
    number = {name: str(found) for found, name in rows(new, "SELECT experiment_id, name FROM experiments")}
    assert number["one"] not in ("1", "2")

    def renames(user: str, experiment: str) -> int:
        path = "2.0/mlflow/experiments/update"
        return ask(new, user, path, experiment_id=number[experiment], new_name=experiment)

    assert [renames("anna", each) for each in ("one", "two", "taken-1", "taken-2")] == [200, 403, 403, 403]
    assert [renames("bert", each) for each in ("one", "two", "taken-1", "taken-2")] == [403, 200, 403, 403]
    assert renames("chief", "taken-1") == 200
    assert ask(new, "anna", "2.0/mlflow/registered-models/update", method="PATCH", name="model", description="x") == 200
    assert ask(new, "anna", "2.0/mlflow/experiments/search?max_results=1", "wrong") == 401
    assert ask(new, "admin", "2.0/mlflow/experiments/search?max_results=1", "the old administrator") == 401
    assert ask(new, administrator[0], "2.0/mlflow/users/get?username=anna", administrator[1]) == 200

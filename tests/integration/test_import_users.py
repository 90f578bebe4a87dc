"""Users come along with their passwords and with what they may do, which is about the same things here."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

from .harness import Deployment
from .limits import REQUEST
from .old_databases import database
from .old_stores import copy_from_container, execute_sqlite

PASSWORD = "a password of anna's"

# Two experiments, models and prompts; in the sign-in database, permissions in each of MLflow's ways to give them.
MAKE = """
import sys, warnings
warnings.simplefilter("ignore")
from mlflow import MlflowClient
from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore
store, users, password = sys.argv[1:]
client = MlflowClient(store)
one, two = client.create_experiment("one"), client.create_experiment("two")
gone = client.create_experiment("gone")
client.create_registered_model("model")
client.register_prompt("prompt", "Say {{what}}")
auth = SqlAlchemyStore()
auth.init_db(users)
auth.create_user("admin", "the old administrator", is_admin=True)
auth.create_user("chief", password, is_admin=True)
anna, bert = auth.create_user("anna", password), auth.create_user("bert", password)
auth.create_experiment_permission(one, "anna", "MANAGE")
auth.create_experiment_permission(one, "admin", "MANAGE")
auth.create_experiment_permission("99", "anna", "MANAGE")
auth.create_registered_model_permission("model", "anna", "EDIT")
auth.create_scorer_permission(two, "a/b", "anna", "EDIT")
role = auth.create_role("team", "default")
auth.add_role_permission(role.id, "experiment", two, "EDIT")
auth.add_role_permission(role.id, "prompt", "prompt", "EDIT")
auth.add_role_permission(role.id, "registered_model", "*", "READ")
auth.assign_role_to_user(bert.id, role.id)
"""

# As a stack of ours has them.
MAKE_BOTH = """
import sys, warnings
warnings.simplefilter("ignore")
from mlflow import MlflowClient
from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore
number = MlflowClient(sys.argv[1]).create_experiment("both")
auth = SqlAlchemyStore()
auth.init_db(sys.argv[1])
auth.create_user("paul", sys.argv[2])
auth.create_experiment_permission(number, "paul", "EDIT")
"""

# The tables of MLflow before it had roles, and what somebody was allowed then.
MAKE_OLDER = """
import sys
from alembic import command
from mlflow.server.auth.db.utils import INITIAL_REVISION, _get_alembic_config
command.upgrade(_get_alembic_config(sys.argv[1]), INITIAL_REVISION)
"""


@dataclass(frozen=True)
class Files:
    """A store, and the users of its server."""

    store: Path
    users: Path


@pytest.fixture(scope="module")
def old(empty_stack: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("old")
    empty_stack.execute("mlflow", "mkdir", "/tmp/users")
    empty_stack.execute(
        "mlflow", "python", "-c", MAKE, "sqlite:////tmp/users/mlflow.db", "sqlite:////tmp/users/users.db", PASSWORD
    )
    empty_stack.execute("mlflow", "python", "-c", MAKE_OLDER, "sqlite:////tmp/users/older.db")
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


def refused(stack: Deployment, *arguments: str) -> str:
    before = rows(stack, "SELECT count(*) FROM users"), rows(stack, "SELECT count(*) FROM experiments")
    with pytest.raises(AssertionError) as error:
        stack.ops("import", *arguments)
    assert (rows(stack, "SELECT count(*) FROM users"), rows(stack, "SELECT count(*) FROM experiments")) == before
    (line,) = [each for each in str(error.value).splitlines() if each.startswith("ops import: ")]
    return line


def test_without_sign_in_users_are_refused(empty_stack: Deployment, old: Files) -> None:
    """The first test of this module: afterwards sign-in is on."""
    before = rows(empty_stack, "SELECT count(*) FROM experiments")
    with pytest.raises(AssertionError) as error:
        empty_stack.ops("import", "--users", str(old.users), str(old.store))
    assert rows(empty_stack, "SELECT count(*) FROM experiments") == before
    assert "sign-in is off in this stack" in str(error.value)
    assert "Mend it with: bin/pulumi config set signIn true, make up, and the import again" in str(error.value)


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
    granted = rows(
        new,
        "SELECT username, resource_type, resource_pattern, permission FROM role_permissions"
        " JOIN user_role_assignments USING (role_id) JOIN users ON users.id = user_id ORDER BY 1, 2, 3",
    )
    assert [each for each in granted if each[0] in ("anna", "bert")] == [
        ("anna", "experiment", number["one"], "MANAGE"),
        ("anna", "registered_model", "model", "EDIT"),
        ("anna", "scorer", f"{number['two']}/a%2Fb", "EDIT"),
        ("bert", "experiment", number["two"], "EDIT"),
        ("bert", "prompt", "prompt", "EDIT"),
        ("bert", "registered_model", "*", "READ"),
    ]


def test_a_permission_that_is_given_later_joins_those_that_came(new: Deployment, old: Files) -> None:
    assert old
    outputs = new.outputs()
    (number,) = (str(found) for (found,) in rows(new, "SELECT experiment_id FROM experiments WHERE name = 'two'"))
    given = {"username": "anna", "resource_type": "experiment", "resource_id": number, "permission": "EDIT"}
    grant = "3.0/mlflow/users/permissions/grant"
    assert ask(new, outputs["admin_username"], grant, outputs["admin_password"], **given) == 200
    assert ask(new, "anna", "2.0/mlflow/experiments/update", experiment_id=number, new_name="two") == 200
    roles = rows(
        new,
        "SELECT count(*) FROM roles JOIN user_role_assignments ON roles.id = role_id"
        " JOIN users ON users.id = user_id WHERE username = 'anna'",
    )
    assert roles == [(1,)], "the role of a single user is known by the user's number"


def test_names_that_are_taken_are_refused_or_changed_or_left_as_told(
    new: Deployment, old: Files, tmp_path: Path
) -> None:
    store = tmp_path / "more.db"
    store.write_bytes(old.store.read_bytes())
    execute_sqlite(
        store,
        "UPDATE experiments SET name = name || '-more'",
        "DELETE FROM registered_model_tags",
        "DELETE FROM model_versions",
        "DELETE FROM model_version_tags",
        "DELETE FROM registered_models",
    )
    said = refused(new, "--users", str(old.users), str(store))
    assert "user 'anna', user 'bert', user 'chief'" in said
    assert "role 'team'" in said
    before = rows(new, "SELECT id, username, password_hash FROM users ORDER BY 1")
    users = tmp_path / "users.db"
    users.write_bytes(old.users.read_bytes())
    # One whose name is not here, and whose number is.
    (taken,) = (number for number, name, _ in before if name == "bert")
    execute_sqlite(users, f"UPDATE users SET username = 'dora', id = {taken} WHERE username = 'bert'")
    printed = new.ops("import", "--clash", "skip", "--users", str(users), str(store))
    assert "user 'anna' not imported: it exists already" in printed
    assert "of users not imported" not in printed
    after = rows(new, "SELECT id, username, password_hash FROM users ORDER BY 1")
    assert after[:-1] == before
    assert after[-1][1] == "dora"
    assert ask(new, "dora", "2.0/mlflow/experiments/search?max_results=1") == 200
    assert ask(new, "anna", "2.0/mlflow/experiments/search?max_results=1") == 200
    execute_sqlite(store, "UPDATE experiments SET name = name || '-again'")
    printed = new.ops("import", "--clash", "rename", "--users", str(old.users), str(store))
    assert "user 'anna' becomes 'anna (imported)'" in printed
    assert "role 'team' becomes 'team (imported)'" in printed
    assert ask(new, "anna (imported)", "2.0/mlflow/experiments/search?max_results=1") == 200


def test_users_of_an_mlflow_without_roles_come_along(new: Deployment, old: Files, tmp_path: Path) -> None:
    store, users = tmp_path / "older-store.db", old.users.with_name("older.db")
    store.write_bytes(old.store.read_bytes())
    execute_sqlite(
        store,
        "UPDATE experiments SET name = name || '-older'",
        "DELETE FROM registered_model_tags",
        "DELETE FROM model_versions",
        "DELETE FROM model_version_tags",
        "DELETE FROM registered_models",
    )
    execute_sqlite(
        users,
        "DROP TABLE alembic_version_auth",
        "INSERT INTO users (username, password_hash, is_admin) VALUES ('olga', 'a hash', 0)",
        "INSERT INTO experiment_permissions (experiment_id, user_id, permission) VALUES ('1', 1, 'EDIT')",
    )
    new.ops("import", "--users", str(users), str(store))
    (found,) = rows(
        new,
        "SELECT password_hash, experiments.name, permission FROM role_permissions"
        " JOIN user_role_assignments USING (role_id) JOIN users ON users.id = user_id"
        " JOIN experiments ON experiment_id::text = resource_pattern WHERE username = 'olga'",
    )
    assert found == ("a hash", "one-older", "EDIT")


def test_users_that_are_in_one_database_with_the_runs_come_along(new: Deployment) -> None:
    with database(new) as old:
        old.ask("postgres", "CREATE DATABASE together")
        old.run("python", "-c", MAKE_BOTH, old.address("together", driver="+psycopg"), PASSWORD)
        new.ops("import", "--users", old.address("together"), old.address("together"))
    (number,) = (str(found) for (found,) in rows(new, "SELECT experiment_id FROM experiments WHERE name = 'both'"))
    assert ask(new, "paul", "2.0/mlflow/experiments/update", experiment_id=number, new_name="both") == 200
    assert ask(new, "paul", "2.0/mlflow/experiments/update", experiment_id="0", new_name="mine") == 403


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("store", "the file of --users is not MLflow's sign-in database: it has no table users"),
        ("folder", 'is a folder. Mend it with: make import IMPORT="--users basic_auth.db"'),
        ("newer", "the users have the schema fffff, which MLflow 3.17.2 does not know"),
    ],
)
def test_what_holds_no_users_is_refused(new: Deployment, old: Files, tmp_path: Path, name: str, said: str) -> None:
    path = tmp_path / "users.db"
    match name:
        case "store":
            path = old.store
        case "folder":
            (tmp_path / "1").mkdir()
            (tmp_path / "1" / "meta.yaml").write_text("{}")
            path = tmp_path
        case "newer":
            path.write_bytes(old.users.read_bytes())
            execute_sqlite(path, "UPDATE alembic_version_auth SET version_num = 'fffff'")
    assert said in refused(new, "--users", str(path), str(old.store))

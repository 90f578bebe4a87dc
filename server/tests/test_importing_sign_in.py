"""Users come along with their passwords and with what they may do, which is about the same things here.

That they sign in and may do it is in tests/integration.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from .imports import Target, execute, found, in_a_process, located, rows_of, target
from .postgresql import Server

PASSWORD = "a password of anna's"

GRANTED = (
    "SELECT username, resource_type, resource_pattern, permission FROM role_permissions"
    " JOIN user_role_assignments USING (role_id) JOIN users ON users.id = user_id ORDER BY 1, 2, 3"
)


@dataclass(frozen=True)
class Files:
    """A store, and the users of its server."""

    store: Path
    users: Path


@pytest.fixture(scope="module")
def schema_with_users(postgresql: Server, schema: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Name of a database with the tables of sign-in, too."""
    postgresql.create("mlflow_with_users", schema)
    uri = postgresql.store_uri("mlflow_with_users")
    in_a_process("import_users", "make_tables", uri, folder=tmp_path_factory.mktemp("schema"))
    return "mlflow_with_users"


@pytest.fixture
def stack(postgresql: Server, schema_with_users: str, tmp_path: Path) -> Iterator[Target]:
    """A stack with sign-in, in which two numbers of experiments and one of a user are taken."""
    with target(postgresql, "sign_in", schema_with_users, tmp_path / "stack", sign_in=True) as made:
        for name in ("taken-1", "taken-2"):
            made.ask(
                f"INSERT INTO experiments (name, lifecycle_stage, workspace) VALUES ('{name}', 'active', 'default')"
            )
        made.ask("INSERT INTO users (username, password_hash, is_admin) VALUES ('admin', 'ours', true)")
        yield made


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("users")
    made = Files(folder / "mlflow.db", folder / "users.db")
    in_a_process("import_users", "make", f"sqlite:///{made.store}", f"sqlite:///{made.users}", PASSWORD, folder=folder)
    return made


@pytest.fixture
def old(made_once: Files, tmp_path: Path) -> Files:
    """A copy, to be changed."""
    return Files(*(Path(shutil.copy(each, tmp_path / each.name)) for each in (made_once.store, made_once.users)))


def hashes(users: Path) -> dict[str, str]:
    return dict(found(users, "SELECT username, password_hash FROM users WHERE username <> 'admin'"))


def hashes_here(stack: Target) -> dict[str, str]:
    return dict(stack.ask("SELECT username, password_hash FROM users WHERE username <> 'admin'"))


def bring(stack: Target, old: Files, *options: str) -> list[str]:
    return stack.brought(old.store, "--users", str(old.users), *options, located=located(old.store)).notes()


def another_store(old: Files) -> None:
    """Let the store have other experiments, and no models."""
    execute(
        old.store,
        "UPDATE experiments SET name = name || '-more'",
        "DELETE FROM registered_model_tags",
        "DELETE FROM model_versions",
        "DELETE FROM model_version_tags",
        "DELETE FROM registered_models",
    )


def test_without_sign_in_users_are_refused(postgresql: Server, schema: str, old: Files, tmp_path: Path) -> None:
    with target(postgresql, "sign_in", schema, tmp_path / "stack") as stack:
        said = stack.refusal(old.store, "--users", str(old.users))
        assert "sign-in is off in this stack" in said
        assert "Mend it with: bin/pulumi config set signIn true, make up, and the import again" in said
        stays = '4 users not imported. To import them too: IMPORT="--users FILE"'
        assert stays not in stack.brought(old.store, "--dry-run").notes()


def test_users_have_their_passwords_and_their_permissions_here(stack: Target, old: Files) -> None:
    digest = old.users.read_bytes()
    notes = bring(stack, old)
    assert "user 'admin' not imported: it is this stack's administrator" in notes
    assert "imported administrators: chief" in notes
    assert "1 of role_permissions not imported: their resources are not imported" in notes
    assert "1 of role_permissions apply to all resources of a type, also to existing ones" in notes
    assert old.users.read_bytes() == digest
    assert hashes_here(stack) == hashes(old.users)
    assert stack.ask("SELECT username, password_hash FROM users WHERE is_admin ORDER BY 1") == [
        ("admin", "ours"),
        ("chief", hashes(old.users)["chief"]),
    ]
    number = {name: str(each) for name, each in stack.ask("SELECT name, experiment_id FROM experiments")}
    assert number["one"] not in ("1", "2")
    assert stack.ask(GRANTED) == [
        ("anna", "experiment", number["one"], "MANAGE"),
        ("anna", "registered_model", "model", "EDIT"),
        ("anna", "scorer", f"{number['two']}/a%2Fb", "EDIT"),
        ("bert", "experiment", number["two"], "EDIT"),
        ("bert", "prompt", "prompt", "EDIT"),
        ("bert", "registered_model", "*", "READ"),
    ]
    # MLflow knows the role of a single user by the user's number, and puts later permissions into it.
    own = stack.ask(
        "SELECT username, roles.name = '__user_' || users.id || '__' FROM roles"
        " JOIN user_role_assignments ON roles.id = role_id JOIN users ON users.id = user_id ORDER BY 1"
    )
    assert own == [("anna", True), ("bert", False)]


def test_names_that_are_taken_are_refused_or_changed_or_left_as_told(stack: Target, old: Files) -> None:
    bring(stack, old)
    another_store(old)
    said = stack.refusal(old.store, "--users", str(old.users), located=located(old.store))
    assert "user 'anna', user 'bert', user 'chief', role 'team'" in said
    before = stack.ask("SELECT id, username, password_hash FROM users ORDER BY 1")
    # One whose name is not here, and whose number is.
    (taken,) = (number for number, name, _ in before if name == "bert")
    users = Files(old.store, Path(shutil.copy(old.users, old.users.with_name("dora.db"))))
    execute(users.users, f"UPDATE users SET username = 'dora', id = {taken} WHERE username = 'bert'")
    notes = bring(stack, users, "--clash", "skip")
    assert "user 'anna' not imported: it exists already" in notes
    assert not any("of users not imported" in each for each in notes)
    after = stack.ask("SELECT id, username, password_hash FROM users ORDER BY 1")
    assert after[:-1] == before
    assert after[-1][1:] == ("dora", hashes(users.users)["dora"])
    execute(old.store, "UPDATE experiments SET name = name || '-again'")
    notes = bring(stack, old, "--clash", "rename")
    assert "user 'anna' becomes 'anna (imported)'" in notes
    assert "role 'team' becomes 'team (imported)'" in notes
    assert hashes_here(stack)["anna (imported)"] == hashes(old.users)["anna"]


def test_users_of_an_mlflow_without_roles_come_along(stack: Target, old: Files, tmp_path: Path) -> None:
    older = Files(old.store, tmp_path / "older.db")
    in_a_process("import_users", "make_older", f"sqlite:///{older.users}", folder=tmp_path)
    execute(
        older.users,
        "DROP TABLE alembic_version_auth",
        "INSERT INTO users (username, password_hash, is_admin) VALUES ('olga', 'a hash', 0)",
        "INSERT INTO experiment_permissions (experiment_id, user_id, permission) VALUES ('1', 1, 'EDIT')",
    )
    bring(stack, older)
    assert stack.ask(
        "SELECT password_hash, experiments.name, permission FROM role_permissions"
        " JOIN user_role_assignments USING (role_id) JOIN users ON users.id = user_id"
        " JOIN experiments ON experiment_id::text = resource_pattern WHERE username = 'olga'"
    ) == [("a hash", "one", "EDIT")]


def test_users_that_are_in_one_database_with_the_runs_come_along(stack: Target, tmp_path: Path) -> None:
    in_a_process("import_users", "make_both", f"sqlite:///{tmp_path}/both.db", PASSWORD, folder=tmp_path)
    rows = rows_of(tmp_path / "both.db")
    said = '1 users not imported. To import them too: IMPORT="--users FILE"'
    assert said in stack.brought(rows, "--rows-only", "--dry-run").notes()
    stack.brought(rows, "--rows-only", "--users", str(rows), "--users-rows-only", located=located(rows))
    ((number,),) = stack.ask("SELECT experiment_id FROM experiments WHERE name = 'both'")
    assert stack.ask(GRANTED) == [("paul", "experiment", str(number), "EDIT")]
    assert hashes_here(stack) == hashes(tmp_path / "both.db")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("store", "the file of --users is not MLflow's sign-in database: it has no table users"),
        ("newer", "the users have the schema fffff, which MLflow 3.17.2 does not know"),
    ],
)
def test_what_holds_no_users_is_refused(stack: Target, old: Files, name: str, said: str) -> None:
    execute(old.users, "UPDATE alembic_version_auth SET version_num = 'fffff'")
    users = old.store if name == "store" else old.users
    assert said in stack.refusal(old.store, "--users", str(users), located=located(old.store))

"""Users and what they may do: who comes along, and what their permissions are about here."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from mlflow_postgres.importing import permissions, users
from mlflow_postgres.importing.changes import Changes, change_rows
from mlflow_postgres.importing.tables import Column, Kind, Table

SCRIPT = """
CREATE TABLE experiments (experiment_id INTEGER, name TEXT);
INSERT INTO experiments VALUES (1, 'one');
CREATE TABLE registered_models (workspace TEXT, name TEXT);
INSERT INTO registered_models VALUES ('default', 'm'), ('other', 'n');
CREATE TABLE secrets (secret_id TEXT);
CREATE TABLE users (id INTEGER, username TEXT, is_admin INTEGER);
INSERT INTO users VALUES (1, 'admin', 1), (2, 'anna', 0), (3, 'chief', 1);
CREATE TABLE roles (id INTEGER, workspace TEXT, name TEXT);
INSERT INTO roles VALUES (1, 'default', '__user_1__'), (2, 'default', '__user_2__'), (3, 'default', 'team');
CREATE TABLE role_permissions (id INTEGER PRIMARY KEY, role_id INTEGER, resource_type TEXT, resource_pattern TEXT);
"""
STAY = [("experiment", "2"), ("scorer", "2/a"), ("registered_model", "n"), ("prompt", "gone"), ("gateway_secret", "s")]
COME = [
    ("experiment", "1"),
    ("experiment", "*"),
    ("scorer", "1/a%2Fb"),
    ("scorer", "*"),
    ("registered_model", "m"),
    ("prompt", "m"),
    ("workspace", "*"),
]


@pytest.fixture
def copy() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(SCRIPT)
        connection.executemany(
            "INSERT INTO role_permissions (role_id, resource_type, resource_pattern) VALUES (2, ?, ?)", STAY + COME
        )
        yield connection


def about(copy: sqlite3.Connection) -> list[Any]:
    return copy.execute("SELECT resource_type, resource_pattern FROM role_permissions ORDER BY id").fetchall()


def test_permissions_on_what_does_not_come_along_stay_behind(copy: sqlite3.Connection) -> None:
    said = permissions.delete_orphans(copy)
    assert about(copy) == COME, "a model of that name in another workspace is another one"
    assert said == ["5 of role_permissions not imported: their resources are not imported"]
    assert permissions.delete_orphans(copy) == []


def test_permissions_on_everything_are_counted_for_they_are_wider_here(copy: sqlite3.Connection) -> None:
    assert permissions.wildcard_notes(copy) == [
        "3 of role_permissions apply to all resources of a type, also to existing ones"
    ]


def test_permissions_name_a_model_as_it_is_called_now(copy: sqlite3.Connection) -> None:
    permissions.rename_models(copy, [("default", "m", "m (imported)"), ("other", "n", "n (imported)")])
    assert [each for each in about(copy) if "imported" in each[1]] == [
        ("registered_model", "m (imported)"),
        ("prompt", "m (imported)"),
    ]
    assert ("registered_model", "n") in about(copy), "of the role's own workspace alone"


@pytest.mark.parametrize(
    ("kind", "pattern", "becomes"),
    [
        ("experiment", "1", "7"),
        ("scorer", "1/a%2Fb", "7/a%2Fb"),
        ("experiment", "*", "*"),
        ("registered_model", "1", "1"),
        ("workspace", "*", "*"),
    ],
)
def test_a_permission_is_about_the_experiments_id_here(kind: str, pattern: str, becomes: str) -> None:
    assert permissions.renumbered(kind, pattern, {1: 7}) == becomes


def test_the_administrator_stays_behind_and_other_administrators_are_named(copy: sqlite3.Connection) -> None:
    assert users.delete_administrator(copy, "admin") == [
        "user 'admin' not imported: it is this stack's administrator",
        "imported administrators: chief",
    ]
    assert copy.execute("SELECT username FROM users ORDER BY 1").fetchall() == [("anna",), ("chief",)]
    assert copy.execute("SELECT name FROM roles ORDER BY id").fetchall() == [("__user_2__",), ("team",)]


def test_who_is_left_behind_goes_with_the_role_of_that_user_alone(copy: sqlite3.Connection) -> None:
    found = users.Clashes(users=("anna",), roles=())
    assert found.clashes == ("user 'anna'",)
    users.delete(copy, found)
    assert copy.execute("SELECT name FROM roles ORDER BY id").fetchall() == [("__user_1__",), ("team",)]
    users.delete(copy, users.Clashes(roles=(("default", "team"),)))
    assert copy.execute("SELECT name FROM roles ORDER BY id").fetchall() == [("__user_1__",)]


def test_a_store_that_has_users_beside_its_runs_says_how_they_come_along(copy: sqlite3.Connection) -> None:
    assert users.not_imported(copy) == ['3 users not imported. To import them too: IMPORT="--users FILE"']
    copy.execute("DROP TABLE users")
    assert users.not_imported(copy) == []


def _table(name: str, *columns: str) -> Table:
    found = (Column(name=each, kind=Kind.TEXT, root=(name, each)) for each in columns)
    return Table(name=name, columns=tuple(found), key=())


def test_roles_of_single_users_and_permissions_get_the_new_numbers() -> None:
    changes = Changes(experiments={1: 7}, numbers={users.USER: 10})
    change = change_rows(_table("roles", "name"), changes)
    assert change
    rows = [["__user_2__"], ["team"], ["__user_x__"]]
    for row in rows:
        change(row)
    assert rows == [["__user_12__"], ["team"], ["__user_x__"]]
    change = change_rows(_table("role_permissions", "resource_type", "resource_pattern"), changes)
    assert change
    row = ["scorer", "1/a"]
    change(row)
    assert row == ["scorer", "7/a"]

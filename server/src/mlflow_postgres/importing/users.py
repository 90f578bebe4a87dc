"""Imports users of a server with sign-in: their password hashes, their roles, and permissions on imported resources."""

from __future__ import annotations

import importlib
import re
import sqlite3
from collections.abc import Set
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import Failed, Refused
from ..migration import revisions
from ..migration.programs import python
from . import sources
from .plans import Role, renamed
from .sources import quoted
from .tables import Cell
from .target import Connection

if TYPE_CHECKING:
    from sqlalchemy import MetaData

USER: Cell = ("users", "id")
_VERSION = "alembic_version_auth"
_USER_ROLE = re.compile(r"__user_(\d+)__")
"""The names of roles with the permissions of a single user."""


def models() -> MetaData:
    """SQLAlchemy's metadata of the sign-in tables."""
    metadata: MetaData = importlib.import_module("mlflow.server.auth.db.models").Base.metadata
    return metadata


def revision(given: Path, mlflow_version: str) -> str | None:
    """The revision of a sign-in database; None for one from before MLflow had revisions.

    Raises `Refused` if it is not a sign-in database, or of a newer MLflow.
    """
    with closing(sqlite3.connect(given)) as connection:
        found = sources.columns(connection)
        if not {"username", "password_hash"} <= set(found.get(USER[0], ())):
            raise Refused(
                "users-not-mlflow",
                "the file of --users is not MLflow's sign-in database: it has no table users",
                remedy="--users, and the file that MLflow with sign-in stores its users in, such as basic_auth.db",
            )
        current = None
        if _VERSION in found:
            current = connection.execute(f"SELECT max(version_num) FROM {_VERSION}").fetchone()[0]
    if current is not None and current not in revisions.known_revisions(_VERSION)[0]:
        raise Refused(
            "source-too-new",
            f"the users have the schema {current}, which MLflow {mlflow_version} does not know: a newer MLflow made it",
            remedy="bin/pulumi config set mlflowVersion, and the version that made it",
        )
    return current


def add_tables(given: Path, copy: Path, mlflow_version: str, others: Set[str]) -> None:
    """Copy the tables of a sign-in database into the copy of the store, and upgrade them to this MLflow's schema.

    They must be in one database: MLflow's migration reads which registered models are prompts. `others` are the tables
    of the store.
    """
    current = revision(given, mlflow_version)
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("ATTACH ? AS given", (str(given),))
        given_tables, own_tables = (set(sources.columns(connection, each)) for each in ("given", "main"))
        # The store may have tables of users itself, of another revision.
        for table in own_tables - others - {"alembic_version"}:
            connection.execute(f"DROP TABLE main.{quoted(table)}")
        for table in given_tables - others - {"alembic_version"}:
            query = "SELECT sql FROM given.sqlite_master WHERE tbl_name = ? AND sql IS NOT NULL ORDER BY type = 'index'"
            for (statement,) in connection.execute(query, (table,)).fetchall():
                connection.execute(statement)
            connection.execute(f"INSERT INTO main.{quoted(table)} SELECT * FROM given.{quoted(table)}")
        connection.commit()
    if current == revisions.known_revisions(_VERSION)[1]:
        return
    ended = python(["-m", "mlflow.server.auth", "db", "upgrade", "--url", f"sqlite:///{copy}"], 0)
    if not ended.succeeded:
        raise Failed(
            "source-not-upgraded", f"MLflow could not upgrade a copy of the users: {ended.reason}; nothing was changed"
        )


def not_imported(copy: sqlite3.Connection) -> list[str]:
    """A message about users in a store that is imported without them."""
    if not copy.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (USER[0],)).fetchone():
        return []
    (found,) = copy.execute("SELECT count(*) FROM users").fetchone()
    return [f'{found:,} users not imported. To import them too: IMPORT="--users FILE"'] if found else []


@dataclass(frozen=True, kw_only=True)
class Clashes:
    """Users and roles whose names exist in both stores."""

    users: tuple[str, ...] = ()
    roles: tuple[Role, ...] = ()

    @property
    def clashes(self) -> tuple[str, ...]:
        return (*(f"user {name!r}" for name in self.users), *(f"role {name!r}" for _, name in self.roles))


def delete_administrator(copy: sqlite3.Connection, name: str) -> list[str]:
    """Delete the user who has the name of this stack's administrator. Returns messages about administrators."""
    found = copy.execute("DELETE FROM users WHERE username = ?", (name,)).rowcount
    delete_orphaned_user_roles(copy)
    others = [user for (user,) in copy.execute("SELECT username FROM users WHERE is_admin ORDER BY 1")]
    messages = [f"user {name!r} not imported: it is this stack's administrator"] if found else []
    return messages + ([f"imported administrators: {', '.join(others)}"] if others else [])


def delete_orphaned_user_roles(copy: sqlite3.Connection) -> None:
    """Delete the roles of single users who are not imported."""
    known = {f"__user_{number}__" for (number,) in copy.execute("SELECT id FROM users")}
    lost = [
        (number,)
        for number, name in copy.execute("SELECT id, name FROM roles")
        if _USER_ROLE.fullmatch(name) and name not in known
    ]
    copy.executemany("DELETE FROM roles WHERE id = ?", lost)
    copy.commit()


def find_clashes(connection: Connection, copy: sqlite3.Connection) -> Clashes:
    """Find users and roles whose names exist in both stores. The role of a single user gets a new name anyway."""
    users = {name for (name,) in connection.execute("SELECT username FROM public.users")}
    roles = set(connection.execute("SELECT workspace, name FROM public.roles").fetchall())
    return Clashes(
        users=tuple(name for (name,) in copy.execute("SELECT username FROM users ORDER BY 1") if name in users),
        roles=tuple(
            role
            for role in copy.execute("SELECT workspace, name FROM roles ORDER BY 1, 2")
            if role in roles and not _USER_ROLE.fullmatch(role[1])
        ),
    )


def delete(copy: sqlite3.Connection, found: Clashes) -> None:
    """Delete users and roles whose names exist already. Their rows in other tables become orphans."""
    if not found.clashes:
        return
    copy.executemany("DELETE FROM users WHERE username = ?", [(name,) for name in found.users])
    copy.executemany("DELETE FROM roles WHERE workspace = ? AND name = ?", found.roles)
    delete_orphaned_user_roles(copy)


def rename(connection: Connection, copy: sqlite3.Connection, found: Clashes) -> list[str]:
    """Rename users and roles whose names exist already. Returns messages."""
    if not found.clashes:
        return []
    users = _names(connection, copy, "users", "username")
    roles = _names(connection, copy, "roles", "name")
    messages = []
    for name in found.users:
        new = renamed(name, users)
        copy.execute("UPDATE users SET username = ? WHERE username = ?", (new, name))
        messages.append(f"user {name!r} becomes {new!r}")
    for workspace, name in found.roles:
        new = renamed(name, roles)
        copy.execute("UPDATE roles SET name = ? WHERE workspace = ? AND name = ?", (new, workspace, name))
        messages.append(f"role {name!r} becomes {new!r}")
    copy.commit()
    return messages


def _names(connection: Connection, copy: sqlite3.Connection, table: str, column: str) -> set[str]:
    query = f"SELECT {column} FROM {table}"
    return {name for (name,) in (*connection.execute(query.encode()), *copy.execute(query))}


def renumbered_user_role(name: str, shift: int) -> str:
    """The name of a single user's role after `shift` was added to the ids of users. Other names are unchanged."""
    found = _USER_ROLE.fullmatch(name)
    return f"__user_{int(found[1]) + shift}__" if found else name

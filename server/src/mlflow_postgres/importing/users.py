"""Users of a server with sign-in: with the hashes of their passwords, and with what they may do to what comes along."""

from __future__ import annotations

import importlib
import re
import sqlite3
from collections.abc import Set
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..migration import revisions
from ..migration.job import Failed, Refused
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
_OWN_ROLE = re.compile(r"__user_(\d+)__")
"""What MLflow calls the role of a single user, which holds what was granted to that user alone."""


def models() -> MetaData:
    """The tables, as SQLAlchemy has them."""
    metadata: MetaData = importlib.import_module("mlflow.server.auth.db.models").Base.metadata
    return metadata


def revision(given: Path, mlflow_version: str) -> str | None:
    """The schema of a sign-in database, None for one from before schemas had names; Refused when it is none."""
    with closing(sqlite3.connect(given)) as connection:
        found = sources.columns(connection)
        if not {"username", "password_hash"} <= set(found.get(USER[0], ())):
            raise Refused(
                "what is given as the users is not MLflow's: it has no table users. Mend it with --users, and the file "
                "that MLflow with sign-in keeps them in, such as basic_auth.db"
            )
        current = None
        if _VERSION in found:
            current = connection.execute(f"SELECT max(version_num) FROM {_VERSION}").fetchone()[0]
    if current is not None and current not in revisions.known_revisions(_VERSION)[0]:
        raise Refused(
            f"the users have the schema {current}, which MLflow {mlflow_version} does not know: it was made by a newer "
            "MLflow. Mend it with: bin/pulumi config set mlflowVersion, and the version that made it"
        )
    return current


def join(given: Path, copy: Path, mlflow_version: str, others: Set[str]) -> None:
    """Put the tables of a sign-in database into the copy of the store, with this MLflow's schema.

    They must be together: MLflow's migration asks the registered models which of them are prompts. `others` are the
    tables of the store.
    """
    revision(given, mlflow_version)
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("ATTACH ? AS given", (str(given),))
        given_tables, own_tables = (set(sources.columns(connection, each)) for each in ("given", "main"))
        # Nothing of users that the store has itself, which may be of another schema.
        for table in own_tables - others - {"alembic_version"}:
            connection.execute(f"DROP TABLE main.{quoted(table)}")
        for table in given_tables - others - {"alembic_version"}:
            query = "SELECT sql FROM given.sqlite_master WHERE tbl_name = ? AND sql IS NOT NULL ORDER BY type = 'index'"
            for (order,) in connection.execute(query, (table,)).fetchall():
                connection.execute(order)
            connection.execute(f"INSERT INTO main.{quoted(table)} SELECT * FROM given.{quoted(table)}")
        connection.commit()
    ended = python(["-m", "mlflow.server.auth", "db", "upgrade", "--url", f"sqlite:///{copy}"], 0)
    if not ended.succeeded:
        raise Failed(f"MLflow could not bring a copy of the users to its schema: {ended.reason}; nothing was changed")


def left_behind(copy: sqlite3.Connection) -> list[str]:
    """Users that a store has beside its runs and that nobody has asked for, in words."""
    if not copy.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (USER[0],)).fetchone():
        return []
    (found,) = copy.execute("SELECT count(*) FROM users").fetchone()
    return [f'{found:,} users stay behind. To bring them, too: IMPORT="--users FILE"'] if found else []


@dataclass(frozen=True, kw_only=True)
class Taken:
    """Whose names are taken."""

    users: tuple[str, ...] = ()
    roles: tuple[Role, ...] = ()

    @property
    def clashes(self) -> tuple[str, ...]:
        return (*(f"user {name!r}" for name in self.users), *(f"role {name!r}" for _, name in self.roles))


def without_administrator(copy: sqlite3.Connection, name: str) -> list[str]:
    """Take out the one user that both sides have: this stack's administrator may do everything anyway; in words."""
    found = copy.execute("DELETE FROM users WHERE username = ?", (name,)).rowcount
    take_out_own_roles(copy)
    others = [user for (user,) in copy.execute("SELECT username FROM users WHERE is_admin ORDER BY 1")]
    said = [f"user {name!r} stays behind: this stack has its own, who may do everything"] if found else []
    return said + ([f"administrators here from now on: {', '.join(others)}"] if others else [])


def take_out_own_roles(copy: sqlite3.Connection) -> None:
    """Take out the roles of single users who do not come along."""
    known = {f"__user_{number}__" for (number,) in copy.execute("SELECT id FROM users")}
    lost = [
        (number,)
        for number, name in copy.execute("SELECT id, name FROM roles")
        if _OWN_ROLE.fullmatch(name) and name not in known
    ]
    copy.executemany("DELETE FROM roles WHERE id = ?", lost)
    copy.commit()


def taken(connection: Connection, copy: sqlite3.Connection) -> Taken:
    """Whose names are taken. The role of a single user gets another name anyway."""
    users = {name for (name,) in connection.execute("SELECT username FROM public.users")}
    roles = set(connection.execute("SELECT workspace, name FROM public.roles").fetchall())
    return Taken(
        users=tuple(name for (name,) in copy.execute("SELECT username FROM users ORDER BY 1") if name in users),
        roles=tuple(
            role
            for role in copy.execute("SELECT workspace, name FROM roles ORDER BY 1, 2")
            if role in roles and not _OWN_ROLE.fullmatch(role[1])
        ),
    )


def drop(copy: sqlite3.Connection, found: Taken) -> None:
    """Take out those whose names are taken; what is theirs has lost its place then."""
    if not found.clashes:
        return
    copy.executemany("DELETE FROM users WHERE username = ?", [(name,) for name in found.users])
    copy.executemany("DELETE FROM roles WHERE workspace = ? AND name = ?", found.roles)
    take_out_own_roles(copy)


def rename(connection: Connection, copy: sqlite3.Connection, found: Taken) -> list[str]:
    """Give those whose names are taken other ones; in words."""
    if not found.clashes:
        return []
    users = _names(connection, copy, "users", "username")
    roles = _names(connection, copy, "roles", "name")
    said = []
    for name in found.users:
        new = renamed(name, users)
        copy.execute("UPDATE users SET username = ? WHERE username = ?", (new, name))
        said.append(f"user {name!r} becomes {new!r}")
    for workspace, name in found.roles:
        new = renamed(name, roles)
        copy.execute("UPDATE roles SET name = ? WHERE workspace = ? AND name = ?", (new, workspace, name))
        said.append(f"role {name!r} becomes {new!r}")
    copy.commit()
    return said


def _names(connection: Connection, copy: sqlite3.Connection, table: str, column: str) -> set[str]:
    query = f"SELECT {column} FROM {table}"
    return {name for (name,) in (*connection.execute(query.encode()), *copy.execute(query))}


def own_role_renumbered(name: str, shift: int) -> str:
    """The name of a role, when so much is added to the numbers of users."""
    found = _OWN_ROLE.fullmatch(name)
    return f"__user_{int(found[1]) + shift}__" if found else name

"""Run in MLflow's image, or with MLflow installed: make stores whose servers had sign-in.

python - make STORE USERS PASSWORD     a store, and in another database the users of its server
python - make-both STORE PASSWORD      users in the store's own database
python - make-older USERS              the tables of users from before MLflow had roles
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from alembic import command
from mlflow import MlflowClient
from mlflow.server.auth.db.utils import INITIAL_REVISION, _get_alembic_config
from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore


def make(store: str, users: str, password: str) -> None:
    """Experiments, a model and a prompt; and permissions in each of MLflow's ways to give them."""
    client = MlflowClient(store)
    one, two = client.create_experiment("one"), client.create_experiment("two")
    client.create_experiment("gone")
    client.create_registered_model("model")
    client.register_prompt("prompt", "Say {{what}}")
    auth: Any = SqlAlchemyStore()
    auth.init_db(users)
    auth.create_user("admin", "the old administrator", is_admin=True)
    auth.create_user("chief", password, is_admin=True)
    auth.create_user("anna", password)
    bert = auth.create_user("bert", password)
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


def make_both(store: str, password: str) -> None:
    """As a stack of ours has them."""
    number = MlflowClient(store).create_experiment("both")
    auth: Any = SqlAlchemyStore()
    auth.init_db(store)
    auth.create_user("paul", password)
    auth.create_experiment_permission(number, "paul", "EDIT")


def make_older(users: str) -> None:
    command.upgrade(_get_alembic_config(users), INITIAL_REVISION)


def make_tables(uri: str) -> None:
    """The tables of users, in a database that may have others."""
    auth: Any = SqlAlchemyStore()
    auth.init_db(uri)


if __name__ == "__main__":
    commands: dict[str, Callable[..., None]] = {"make": make, "make-both": make_both, "make-older": make_older}
    commands[sys.argv[1]](*sys.argv[2:])

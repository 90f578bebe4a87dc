"""The administrator of a server with sign-in. It exists, is an administrator, and has the password of this stack."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable

from ..errors import Refused
from .job import Administrator


def password_of(administrator: Administrator) -> str:
    """The password in the administrator's file. Raises `Refused` if MLflow would reject it."""
    try:
        password = administrator.password_file.read_text().rstrip("\n")
    except OSError as error:
        raise Refused(
            "administrator-password-invalid",
            f"{administrator.password_file} cannot be read ({error.strerror})",
            rule="it must hold the administrator's password",
            remedy="make up",
        ) from error
    if len(password) < 12:
        raise Refused(
            "administrator-password-invalid",
            f"the administrator's password is {len(password)} characters long",
            rule="MLflow requires at least 12",
            remedy="make up",
        )
    return password


def ensure(administrator: Administrator, store_uri: str) -> bool:
    """Create the administrator, or set its password and rank. Returns whether it had another password before."""
    # Not at the top: only a server with sign-in needs it.
    with warnings.catch_warnings(action="ignore"):
        from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore

    password = password_of(administrator)
    store = SqlAlchemyStore()
    init: Callable[[str], None] = store.init_db
    init(store_uri)
    if not store.has_user(administrator.name):
        store.create_user(administrator.name, password, is_admin=True)
        print(f"created the administrator {administrator.name}", flush=True)
        return False
    changed = not store.authenticate_user(administrator.name, password)
    if changed or not store.get_user(administrator.name).is_admin:
        store.update_user(administrator.name, password=password, is_admin=True)
        print(f"set the password of the administrator {administrator.name}", flush=True)
    return changed


def wait_for_password_cache(server_runs: bool, seconds: int) -> None:
    """Wait until no worker of a running server accepts the former password: each worker caches it."""
    if server_runs:
        print(f"waiting {seconds} s until the server no longer accepts the former password", flush=True)
        time.sleep(seconds)

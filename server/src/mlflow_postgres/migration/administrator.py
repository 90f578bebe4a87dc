"""The administrator of a server with sign-in: there, an administrator, and with the password of this stack."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable

from .job import Administrator, Refused


def password_of(administrator: Administrator) -> str:
    """The password in the administrator's file; Refused when MLflow would not take it."""
    try:
        password = administrator.password_file.read_text().rstrip("\n")
    except OSError as error:
        raise Refused(
            f"{administrator.password_file} cannot be read ({error.strerror}): it must hold the administrator's "
            "password. Mend it with: make up"
        ) from error
    if len(password) < 12:
        raise Refused(
            f"the administrator's password is {len(password)} characters long: MLflow takes 12 or more. "
            "Mend it with: make up"
        )
    return password


def ensure(administrator: Administrator, store_uri: str) -> bool:
    """Make the administrator, or give it this password and its rank again; whether it had another password."""
    # Not above: a server without sign-in has no need of it.
    with warnings.catch_warnings(action="ignore"):
        from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore

    password = password_of(administrator)
    store = SqlAlchemyStore()
    init: Callable[[str], None] = store.init_db
    init(store_uri)
    if not store.has_user(administrator.name):
        store.create_user(administrator.name, password, is_admin=True)
        print(f"made the administrator {administrator.name}", flush=True)
        return False
    renewed = not store.authenticate_user(administrator.name, password)
    if renewed or not store.get_user(administrator.name).is_admin:
        store.update_user(administrator.name, password=password, is_admin=True)
        print(f"gave the administrator {administrator.name} the password of this stack", flush=True)
    return renewed


def wait_until_forgotten(server_is_there: bool, seconds: int) -> None:
    """Wait until no worker of a server takes the former password for right: each has remembered it for itself."""
    if server_is_there:
        print(f"waiting {seconds} s, until the server has forgotten the former password", flush=True)
        time.sleep(seconds)

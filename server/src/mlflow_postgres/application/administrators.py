"""With sign-in, whether a request is an administrator's: one column read by itself at each request.

MLflow makes an object of the whole user for it, in a session and a transaction; that is most of what sign-in costs
once a password is remembered. It is asked as often as before, so who is made an administrator is one at once, and who
is one no more is not.
"""

import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import ParamSpec, TypeVar

import mlflow
import sqlalchemy

from ..database import merges
from ..replacement import replace

_Parameters = ParamSpec("_Parameters")
_Application = TypeVar("_Application")

READ = {"3.17.2"}
"""Versions of MLflow whose own way has been read. No other's is replaced."""


def install() -> None:
    if mlflow.__version__ not in READ:
        return
    server = importlib.import_module("mlflow.server.fastapi_app")
    replace(server, create_fastapi_app=shortening(server.create_fastapi_app))


def shortening(create: Callable[_Parameters, _Application]) -> Callable[_Parameters, _Application]:
    # Sign-in reads its secrets where it is imported, which is in each worker; there it calls this, the last of all.
    def create_fastapi_app(*arguments: _Parameters.args, **named: _Parameters.kwargs) -> _Application:
        if sign_in := sys.modules.get("mlflow.server.auth"):
            shorten(sign_in)
            merges.ask_again(type(sign_in.store), merges.OF_USERS)
        return create(*arguments, **named)

    return create_fastapi_app


def shorten(sign_in: ModuleType) -> None:
    original: Callable[[], object] = sign_in.sender_is_admin
    question = sqlalchemy.text("SELECT is_admin FROM users WHERE username = :username")

    def sender_is_admin() -> object:
        username = sign_in.authenticate_request().username
        try:
            with sign_in.store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                found = connection.execute(question, {"username": username}).one_or_none()
        except sqlalchemy.exc.SQLAlchemyError:
            found = None
        # Nobody of that name, and a database that does not answer, are MLflow's to put into words.
        return found[0] if found else original()

    replace(sign_in, sender_is_admin=sender_is_admin)

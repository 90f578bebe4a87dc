"""With sign-in, an `Authorization` header that names nobody is none: MLflow then answers 401, as without one.

Its own function takes the name and the password out of any header that Flask can read; of `Bearer x` there is neither,
and it ends in an error. MLflow's setting for another function would take the gateway's keys and the jobs' token away.
"""

from __future__ import annotations

import mlflow.server
from flask import request
from werkzeug.datastructures import Authorization

from ..database import characters


def install() -> None:
    """Before MLflow's sign-in registers its own function: they run in the order in which they were registered."""
    mlflow.server.app.before_request(forget_what_names_nobody)


def forget_what_names_nobody() -> None:
    # Not `request.authorization`, which is worked out once and kept.
    if not names_somebody(Authorization.from_header(request.environ.get("HTTP_AUTHORIZATION"))):
        request.environ.pop("HTTP_AUTHORIZATION", None)


def names_somebody(authorization: Authorization | None) -> bool:
    """Whether there is a name that somebody can have, and a password."""
    if authorization is None or authorization.type != "basic":
        return False
    username, password = authorization.username, authorization.password
    if not username or password is None:
        return False
    return characters.is_storable(username)

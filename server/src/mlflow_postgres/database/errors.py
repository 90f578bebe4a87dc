"""What the database says when it refuses, in the log alone; whoever asked gets a sentence and an id to find it by.

PostgreSQL quotes rows, and SQLAlchemy statements with their parameters: password hashes, other people's values. MLflow
puts all of that into its answers.
"""

from __future__ import annotations

import logging
import uuid

from sqlalchemy import ExceptionContext

_log = logging.getLogger("mlflow.database")


def keep_to_the_log(context: ExceptionContext) -> None:
    """For SQLAlchemy's event `handle_error`: the exception stays what it is, for MLflow tells them apart by class."""
    original, wrapped = context.original_exception, context.sqlalchemy_exception
    if wrapped is None:
        return
    name, number = type(original).__name__, uuid.uuid4().hex[:12]
    _log.error("%s: %s: %s; statement: %s", number, name, said(original), context.statement)
    # The detail of a psycopg error quotes rows, and whoever logs a traceback logs the original, too.
    original.args = (said(original),)
    # MLflow looks for a deadlock by its name.
    wrapped.args = (f"The database reported an error ({name}). The server's log has the details under {number}.",)
    wrapped.statement = wrapped.params = wrapped.code = None
    wrapped.hide_parameters = True


def said(error: BaseException) -> str:
    """What an error says itself, without the row, the statement or the place in it that PostgreSQL adds."""
    diagnostic = getattr(error, "diag", None)
    primary = diagnostic and diagnostic.message_primary
    return str(primary or next(iter(str(error).splitlines()), ""))

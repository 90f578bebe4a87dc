"""Checks that the database answers over its local socket."""

from __future__ import annotations

from ..execution import ExecutionError
from .check import Verdict, broken, ok
from .subject import Subject


def check(subject: Subject) -> Verdict:
    """A session in MLflow's database answers a query."""
    try:
        version = subject.query("SELECT split_part(current_setting('server_version'), ' ', 1)").strip()
    except ExecutionError as error:
        return broken(f"it does not answer: {error}", f"{subject.make_logs}, which says why, then {subject.make_up}")
    return ok(f"PostgreSQL {version} answers")

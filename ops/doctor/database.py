"""Whether the database answers, over its local socket."""

from __future__ import annotations

from ..inside import InsideError
from .check import Verdict, broken, ok
from .subject import Subject


def look(subject: Subject) -> Verdict:
    """A session in MLflow's own database answers a question."""
    try:
        version = subject.ask("SELECT split_part(current_setting('server_version'), ' ', 1)").strip()
    except InsideError as error:
        return broken(f"it does not answer: {error}", f"{subject.make_logs}, which says why, then {subject.make_up}")
    return ok(f"PostgreSQL {version} answers")

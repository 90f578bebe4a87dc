"""Other programs that the job runs: PostgreSQL's tools and MLflow's own commands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from .connections import session_options

# What SQLAlchemy and PostgreSQL add to an error: the rows that a statement was about, password hashes among them.
_ROWS = re.compile(r"\[parameters: .*|Failing row contains .*|\[SQL: .*", re.DOTALL)
_ERROR = re.compile(r"\w+(\.\w+)+: ")


@dataclass(frozen=True)
class Outcome:
    """How a program ended."""

    succeeded: bool
    output: str
    errors: str

    @property
    def reason(self) -> str:
        """The error that it ended with."""
        lines = [line.strip() for line in self.shown if line.strip()]
        # SQLAlchemy puts the statement and a link after its error.
        errors = [line for line in lines if _ERROR.match(line)]
        return [*lines, *errors][-1] if lines else "it said nothing"

    @property
    def shown(self) -> list[str]:
        """What may be shown of what it complained of."""
        return [line for line in map(without_rows, self.errors.splitlines()) if line]


def without_rows(complaint: str) -> str:
    """An error's text without the rows that it was about."""
    return _ROWS.sub("", complaint).rstrip()


def environment(server_version: int) -> dict[str, str]:
    """What a program gets that works on the database; libpq takes the session's settings and the pass file from it."""
    return {**os.environ, "PGOPTIONS": session_options(server_version), "PGCONNECT_TIMEOUT": "10"}


def run(command: Sequence[str], server_version: int) -> Outcome:
    """Run a program to its end; its output is kept, not shown."""
    ended = subprocess.run(
        command, env=environment(server_version), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    return Outcome(ended.returncode == 0, ended.stdout, ended.stderr)


def python(arguments: Sequence[str], server_version: int) -> Outcome:
    """Run a module of this image's Python."""
    return run([sys.executable, *arguments], server_version)

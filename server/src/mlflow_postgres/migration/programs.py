"""Runs PostgreSQL's client programs and MLflow's commands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from .connections import session_options

# SQLAlchemy and PostgreSQL append the statement's rows to an error. Rows may contain password hashes.
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
        """The error that the program ended with."""
        lines = [line.strip() for line in self.error_lines if line.strip()]
        # SQLAlchemy prints the statement and a link after its error.
        errors = [line for line in lines if _ERROR.match(line)]
        return [*lines, *errors][-1] if lines else "it printed no error"

    @property
    def error_lines(self) -> list[str]:
        """The lines of standard error, without rows."""
        return [line for line in map(without_rows, self.errors.splitlines()) if line]


def without_rows(message: str) -> str:
    """An error message without the rows in it."""
    return _ROWS.sub("", message).rstrip()


def environment(server_version: int) -> dict[str, str]:
    """The environment of a program that uses the database, with libpq's settings of the session."""
    return {**os.environ, "PGOPTIONS": session_options(server_version), "PGCONNECT_TIMEOUT": "10"}


def run(command: Sequence[str], server_version: int) -> Outcome:
    """Run a program to its end, and capture its output."""
    ended = subprocess.run(
        command, env=environment(server_version), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    return Outcome(ended.returncode == 0, ended.stdout, ended.stderr)


def python(arguments: Sequence[str], server_version: int) -> Outcome:
    """Run this image's Python."""
    return run([sys.executable, *arguments], server_version)

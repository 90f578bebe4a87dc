"""Commands inside a running container, and questions to its database; each with an end to its patience."""

from __future__ import annotations

from typing import Any

from docker.models.containers import Container

# Seconds. Who looks at a stack is told in the end what is wrong, even of a database that hangs.
_PATIENCE = 5

# The server ends a statement before the client is ended, which it would not notice.
_OPTIONS = {"PGOPTIONS": "-c statement_timeout=4s -c lock_timeout=2s", "PGAPPNAME": "mlflow-postgres"}
_PSQL = 'exec psql -X -w -U postgres -d "$MLFLOW_POSTGRES_DATABASE" -v ON_ERROR_STOP=1 -Atq -c "$1"'


class InsideError(Exception):
    """A command inside a container failed; the message is its last word."""


def run(
    container: Container, *command: str, environment: dict[str, str] | None = None, patience: int = _PATIENCE
) -> str:
    """What a command prints inside a container.

    Raises `InsideError` if it fails, or takes longer than `patience` seconds.
    """
    ended = container.exec_run(["timeout", str(patience), *command], environment=environment, demux=True)
    said: Any = ended.output
    printed, complaint = ((part or b"").decode(errors="replace") for part in said)
    # What `timeout` ends with when it had to end the command.
    if ended.exit_code == 124:
        raise InsideError(f"{command[0]} did not end within {patience} s")
    if ended.exit_code:
        raise InsideError(_last_word(complaint) or f"{command[0]} ended with exit code {ended.exit_code}")
    return printed


def ask(database: Container, query: str) -> str:
    """What the database says over its local socket, which needs no password. Raises `InsideError`."""
    return run(database, "sh", "-c", _PSQL, "psql", query, environment=_OPTIONS)


def _last_word(complaint: str) -> str:
    """The line that says what went wrong; PostgreSQL puts warnings before it, and what may show a row after it."""
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    errors = [line for line in lines if "ERROR:" in line or "FATAL:" in line]
    return (errors or lines[-1:] or [""])[0]

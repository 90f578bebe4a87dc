"""Commands in a running container, and queries in its database. Each has a timeout."""

from __future__ import annotations

from collections.abc import Mapping

from .runtime import Container, Runtime

# Seconds. A check of a database that hangs must end.
_TIMEOUT = 5

# The exit code of `timeout` after it has ended the command.
_TIMED_OUT = 124

# The server must cancel a statement before `timeout` ends psql: it does not notice that its client has gone.
_OPTIONS = {"PGOPTIONS": "-c statement_timeout=4s -c lock_timeout=2s", "PGAPPNAME": "mlflow-postgres"}
_PSQL = 'exec psql -X -w -U postgres -d "$MLFLOW_POSTGRES_DATABASE" -v ON_ERROR_STOP=1 -Atq -c "$1"'


class ExecutionError(Exception):
    """A command in a container failed. The message is its last line."""


def run(
    runtime: Runtime,
    container: Container,
    *command: str,
    environment: Mapping[str, str] | None = None,
    timeout: int = _TIMEOUT,
) -> str:
    """Run a command in a container. Returns its output.

    Raises `ExecutionError` if it fails, or takes longer than `timeout` seconds.
    """
    result = runtime.execute(container, ["timeout", str(timeout), *command], environment or {})
    if result.exit_code == _TIMED_OUT:
        raise ExecutionError(f"{command[0]} did not end within {timeout} s")
    if result.exit_code:
        raise ExecutionError(_error_line(result.errors) or f"{command[0]} ended with exit code {result.exit_code}")
    return result.output


def query(runtime: Runtime, database: Container, statement: str) -> str:
    """Run a statement over the local socket, without a password. Returns psql's output. Raises `ExecutionError`."""
    return run(runtime, database, "sh", "-c", _PSQL, "psql", statement, environment=_OPTIONS)


def _error_line(printed: str) -> str:
    """The line with the error. PostgreSQL prints warnings before it, and after it lines that may show a row."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    errors = [line for line in lines if "ERROR:" in line or "FATAL:" in line]
    return (errors or lines[-1:] or [""])[0]

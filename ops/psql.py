"""A shell in the database, over the local socket of its container: no password, no published port needed."""

from __future__ import annotations

import argparse
import os
import shutil
import sys

from contract import labels, roles
from contract.errors import UserError
from preflight.engine import engine_host, open_engine

from . import objects
from .stack import not_running, outputs, prefix


def run(options: argparse.Namespace) -> None:
    """Become `psql`, signed in as the role that MLflow uses. Raises `UserError` if the stack is not up."""
    values = outputs(options.stack)
    client = shutil.which("docker")
    if not client:
        raise UserError(
            "docker-command-missing",
            "psql runs inside the database's container, and there is no docker command to enter it with",
            remedy="apt-get install docker-cli, or docker.io",
        )
    terminal = ["--tty"] if sys.stdin.isatty() else []
    shell = ["psql", "--username", values["postgres_user"], "--dbname", values["postgres_database"]]
    # Docker's client would follow its context, which may be another engine than the one that the rest of us uses.
    engine = ["--host", engine_host()]
    os.execv(client, [client, *engine, "exec", "--interactive", *terminal, _server(options.stack), *shell])


def _server(stack: str) -> str:
    engine = open_engine()
    try:
        for container in objects.containers(engine, prefix(stack)):
            if objects.label(container, labels.ROLE) == roles.POSTGRES:
                return str(container.name)
    finally:
        engine.close()
    raise not_running(roles.POSTGRES, stack)

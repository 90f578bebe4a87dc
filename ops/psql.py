"""A shell in the database, over the local socket of its container. It needs no password and no published port."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from contextlib import closing

from contract import roles
from contract.errors import UserError
from preflight.engine import engine_host

from .runtime import Connect, service
from .stack import not_running, outputs, prefix


def run(options: argparse.Namespace, connect: Connect) -> None:
    """Become `psql`, signed in as MLflow's role. Raises `UserError` if the stack is not up."""
    values = outputs(options.stack)
    client = shutil.which("docker")
    if not client:
        raise UserError(
            "docker-command-missing",
            "psql runs in the database's container, and there is no docker command to enter it with",
            remedy="apt-get install docker-cli, or docker.io",
        )
    with closing(connect()) as runtime:
        database = service(runtime, prefix(options.stack), roles.POSTGRES)
    if database is None:
        raise not_running(roles.POSTGRES, options.stack)
    terminal = ["--tty"] if sys.stdin.isatty() else []
    shell = ["psql", "--username", values["postgres_user"], "--dbname", values["postgres_database"]]
    # Docker's client would use its context, which may be another engine than ours.
    engine = ["--host", engine_host()]
    os.execv(client, [client, *engine, "exec", "--interactive", *terminal, database.name, *shell])

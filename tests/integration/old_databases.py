"""A PostgreSQL as in the tutorials, `docker run postgres` with a port on loopback, and MLflow's tables in it."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
from docker.models.containers import Container

from contract.labels import ROLE, STACK

from .harness import Deployment, free_ports, wait_for
from .old_stores import SCRIPT, Contents

PASSWORD = "p@ss/w:rd #1%"
"""It has every character that a URL must escape."""


@dataclass(frozen=True)
class Database:
    """A PostgreSQL that is not ours, and a container of MLflow's on the machine's own network."""

    server: Container
    client: Container
    port: int

    def address(self, name: str = "postgres", password: str = PASSWORD, driver: str = "") -> str:
        return f"postgresql{driver}://postgres:{quote(password, safe='')}@127.0.0.1:{self.port}/{name}"

    def ask(self, name: str, *orders: str) -> None:
        with psycopg.connect(self.address(name), autocommit=True) as session:
            for order in orders:
                session.execute(order.encode())

    def answers(self) -> bool:
        try:
            self.ask("postgres", "SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def dumped(self, name: str) -> str:
        return output_of(self.server, "pg_dump", "-U", "postgres", "--restrict-key=same", name)

    def run(self, *command: str) -> str:
        return output_of(self.client, *command)

    def filled(self, name: str, folder: Path) -> Contents:
        """Fill a database with one of everything, copy out the artifacts, and return what MLflow's client reads."""
        uri = self.address(name, driver="+psycopg")
        self.run("python", "-c", SCRIPT, "make", uri, name)
        contents: Contents = json.loads(self.run("python", "-c", SCRIPT, "show", uri).strip().splitlines()[-1])
        chunks, _ = self.client.get_archive("/tmp/mlruns")
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
            archive.extractall(folder, filter="data")
        return contents


def output_of(container: Container, *command: str) -> str:
    code, printed = container.exec_run(list(command), workdir="/tmp")
    assert isinstance(printed, bytes)
    assert code == 0, printed.decode()
    return printed.decode()


@contextmanager
def database(stack: Deployment) -> Iterator[Database]:
    """Gone afterwards."""
    (port,) = free_ports(1)
    mine = {STACK: stack.prefix, ROLE: "old"}
    server = stack.engine.containers.run(
        "postgres:17-trixie",
        environment={"POSTGRES_PASSWORD": PASSWORD},
        ports={"5432/tcp": ("127.0.0.1", port)},
        labels=mine,
        detach=True,
    )
    client = stack.engine.containers.run(
        stack.image("mlflow"),
        ["infinity"],
        entrypoint=["sleep"],
        network_mode="host",
        labels=mine,
        init=True,
        detach=True,
    )
    try:
        made = Database(server, client, port)
        wait_for(made.answers, "a database that answers")
        yield made
    finally:
        for each in (server, client):
            each.remove(force=True, v=True)

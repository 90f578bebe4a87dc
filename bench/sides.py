"""The sides: where each one's server and records are, and how it is brought up."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from docker.models.containers import Container

from bench.product import Product
from bench.room import BenchError, Room, declared, free_ports, wait_until
from bench.wire import API, OverLimitError, Wire, WrongAnswerError

SQLITE, TUTORIAL, OURS, SIGN_IN = "sqlite", "tutorial", "ours", "ours+sign-in"
POSTGRES_DATA = "/var/lib/postgresql"
T = TypeVar("T")
_UP = 300
"""Seconds for a server to answer for the first time."""


@dataclass(kw_only=True)
class Side:
    name: str
    url: str
    server: Container
    postgres: Container | None = None
    conninfo: str = ""
    """Of PostgreSQL, as the server's role, through the port on loopback."""
    superuser: tuple[str, str] = ("", "")
    """Role and database that psql inside PostgreSQL's container may do everything with."""
    file: Path | None = None
    """SQLite's."""
    login: tuple[str, str] | None = None

    def connect(self, limit: float) -> Wire:
        return Wire(self.url, limit, self.login)

    def patiently(self, work: Callable[[Wire], T]) -> T:
        """Do what is not measured; anew, up to three times, where a worker that uvicorn has ended takes the connection
        with it."""
        for _ in range(2):
            with suppress(OSError), self.connect(600) as wire:
                return work(wire)
            self.wait()
        with self.connect(600) as wire:
            return work(wire)

    def answers(self) -> bool:
        """Whether it answers from the database."""
        with suppress(OSError, OverLimitError, WrongAnswerError), self.connect(10) as wire:
            return "experiments" in wire.read(f"{API}/experiments/search", max_results=1)
        return False

    def wait(self) -> None:
        wait_until(self.answers, f"{self.name}'s server", _UP)

    def warm(self) -> None:
        """Have each of the server's workers import what it needs: who connects gets any of them."""

        def touch(wire: Wire) -> None:
            for _ in range(3):
                with suppress(OSError, OverLimitError, WrongAnswerError):
                    wire.post(f"{API}/runs/search", {"experiment_ids": ["0", "1"], "max_results": 100})

        wires = [self.connect(60) for _ in range(16)]
        # All of them open at a time, or one worker that is free would take them one after the other.
        with ThreadPoolExecutor(len(wires)) as pool:
            list(pool.map(touch, wires))
        for wire in wires:
            wire.__exit__()

    def psql(self, *commands: str) -> str:
        """Run commands as PostgreSQL's superuser, each in a transaction of its own. Raises BenchError."""
        if not self.postgres:
            raise BenchError(f"{self.name} has no PostgreSQL")
        role, database = self.superuser
        options = [part for command in commands for part in ("-c", command)]
        call = ["psql", "-X", "-At", "-v", "ON_ERROR_STOP=1", "-U", role, "-d", database, *options]
        code, printed = self.postgres.exec_run(call, user="postgres")
        assert isinstance(printed, bytes)
        if code:
            raise BenchError(f"psql on {self.name} ended {code}: {printed.decode()}")
        return printed.decode()

    def recover(self) -> None:
        """Be idle again: a query whose client is gone goes on, and would slow down what is measured next."""
        self.server.restart(timeout=0)
        if self.postgres:
            self.psql(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE state = 'active' AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
        self.wait()
        self.warm()


def start_sqlite(room: Room, image: str) -> Side:
    """MLflow as `mlflow server` alone starts it, but for the place of its file."""
    folder = room.folder / SQLITE
    folder.mkdir()
    (port,) = free_ports(1)
    server = room.run(
        SQLITE,
        image,
        serve("sqlite:////data/mlflow.db"),
        environment={"HOME": "/data"},
        port=(5000, port),
        folder=folder,
        # The benchmark writes into the file as well.
        user=f"{os.getuid()}:{os.getgid()}",
    )
    return Side(name=SQLITE, url=f"http://127.0.0.1:{port}", server=server, file=folder / "mlflow.db")


def start_stock_postgres(room: Room, role: str, port: int | None = None) -> Container:
    """PostgreSQL's image with a user, a password and a database, and nothing else; returns when it answers."""
    container = room.run(
        role,
        f"postgres:{declared('postgresVersion')}-trixie",
        environment={"POSTGRES_USER": "user", "POSTGRES_PASSWORD": "password", "POSTGRES_DB": "mlflow"},
        port=(5432, port) if port else None,
        volume=f"{POSTGRES_DATA}/data" if int(declared("postgresVersion").partition(".")[0]) < 18 else POSTGRES_DATA,
    )
    # Over TCP: while a cluster is first made, a server without TCP answers on the socket alone.
    ready = ["pg_isready", "-h", "127.0.0.1", "-U", "user", "-d", "mlflow"]
    wait_until(lambda: container.exec_run(ready)[0] == 0, f"PostgreSQL of {role}", _UP)
    return container


def start_tutorial(room: Room, image: str) -> Side:
    """Stock PostgreSQL, plain MLflow."""
    database, port = free_ports(2)
    postgres = start_stock_postgres(room, "tutorial-postgres", database)
    uri = stock_uri("tutorial-postgres")
    return Side(
        name=TUTORIAL,
        url=f"http://127.0.0.1:{port}",
        server=room.run(TUTORIAL, image, serve(uri), port=(5000, port), volume="/data"),
        postgres=postgres,
        conninfo=f"host=127.0.0.1 port={database} user=user password=password dbname=mlflow",
        superuser=("user", "mlflow"),
    )


def stock_uri(postgres: str) -> str:
    """Where the records are. The driver has to be named: SQLAlchemy 2.1 took another one for `postgresql://`."""
    return f"postgresql+psycopg2://user:password@{postgres}/mlflow"


def serve(store: str) -> list[str]:
    """The command of MLflow's server that names what it must and no more."""
    return [
        *("mlflow", "server", "--host", "0.0.0.0", "--port", "5000"),
        *("--backend-store-uri", store, "--artifacts-destination", "/data/artifacts"),
    ]


def side_of(product: Product, name: str = OURS) -> Side:
    """The project's stack, which is up, as a side."""
    outputs = product.outputs()
    password = outputs.get("admin_password")
    return Side(
        name=name,
        url=product.url,
        server=product.container("mlflow"),
        postgres=product.container("postgres"),
        conninfo=(
            f"host=127.0.0.1 port={outputs['postgres_port']} user={outputs['postgres_user']}"
            f" password={outputs['postgres_password']} dbname={outputs['postgres_database']}"
        ),
        superuser=("postgres", str(outputs["postgres_database"])),
        login=("admin", password) if password else None,
    )


def start_ours(product: Product) -> Side:
    product.up()
    return side_of(product)


def start_all(room: Room, images: dict[str, str], product: Product) -> list[Side]:
    """All sides; each is idle, and its workers know their work, when this returns."""
    with ThreadPoolExecutor(1) as pool:
        ours = pool.submit(start_ours, product)
        sides = []
        for start in (start_sqlite, start_tutorial):
            # One after the other: uvicorn ends a worker that has not imported MLflow in five seconds, over and over.
            side = start(room, images["plain"])
            side.wait()
            sides.append(side)
        sides.append(ours.result())
    for side in sides:
        side.wait()
        side.warm()
    return sides


def journal_mode(file: Path) -> str:
    """SQLite's, as MLflow left it."""
    connection = sqlite3.connect(file)
    try:
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])
    finally:
        connection.close()

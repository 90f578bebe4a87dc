"""The systems to compare: how to start each one, and how to reach its server and database."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from docker.models.containers import Container

from bench import fasttrackml
from bench.connection import API, Connection, OverLimitError, WrongAnswerError
from bench.environment import BenchError, Environment, default_setting, free_ports, wait_until
from bench.product import Product

SQLITE, TUTORIAL, FASTTRACKML, COMMIT, OURS = "sqlite", "tutorial", "fasttrackml", "commit", "ours"
SIGN_IN, USER = "ours+administrator", "ours+user"
"""The stack with sign-in, as its administrator and as an ordinary user."""
SIDES = (SQLITE, TUTORIAL, FASTTRACKML, OURS)
"""The systems that are compared, unless the options say otherwise. `COMMIT` is one of them only if one is named."""
POSTGRES_DATA = "/var/lib/postgresql"
T = TypeVar("T")
_UP = 300
"""Seconds in which a server must answer for the first time."""


@dataclass(kw_only=True)
class System:
    name: str
    url: str
    server: Container
    postgres: Container | None = None
    conninfo: str = ""
    """Connection string of PostgreSQL, with the server's role and the port on loopback."""
    superuser: tuple[str, str] = ("", "")
    """Superuser and database for psql in PostgreSQL's container."""
    file: Path | None = None
    """SQLite's database file."""
    login: tuple[str, str] | None = None
    partial: bool = False
    """Whether it serves only a part of MLflow's API, with tables of its own."""

    def connect(self, limit: float) -> Connection:
        return Connection(self.url, limit, self.login)

    def retry(self, work: Callable[[Connection], T]) -> T:
        """Call `work` with a connection, up to three times: uvicorn ends slow workers with their connections.

        Not for measurements.
        """
        for _ in range(2):
            with suppress(OSError), self.connect(600) as connection:
                return work(connection)
            self.wait()
        with self.connect(600) as connection:
            return work(connection)

    def is_ready(self) -> bool:
        """Whether it answers a request that reads the database."""
        with suppress(OSError, OverLimitError, WrongAnswerError), self.connect(10) as connection:
            return "experiments" in connection.get_json(f"{API}/experiments/search", max_results=1)
        return False

    def wait(self) -> None:
        wait_until(self.is_ready, f"{self.name}'s server", _UP)

    def warm_up(self) -> None:
        """Make each worker of the server import what it needs. A connection reaches any of them."""

        def touch(connection: Connection) -> None:
            for _ in range(3):
                with suppress(OSError, OverLimitError, WrongAnswerError):
                    connection.post(f"{API}/runs/search", {"experiment_ids": ["0", "1"], "max_results": 100})

        connections = [self.connect(60) for _ in range(16)]
        # All open at once, because a single free worker would accept them one after the other.
        with ThreadPoolExecutor(len(connections)) as pool:
            list(pool.map(touch, connections))
        for connection in connections:
            connection.close()

    def psql(self, *commands: str) -> str:
        """Run each command in its own transaction as PostgreSQL's superuser. Raises BenchError."""
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

    def restart(self) -> None:
        """Restart the server and end its queries. An abandoned query would slow down the next measurement."""
        self.server.restart(timeout=0)
        if self.postgres:
            self.psql(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE state = 'active' AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
        self.wait()
        self.warm_up()


def start_sqlite(environment: Environment, image: str) -> System:
    """MLflow with the defaults of `mlflow server`, except for the path of its file."""
    folder = environment.folder / SQLITE
    folder.mkdir()
    (port,) = free_ports(1)
    server = environment.run(
        SQLITE,
        image,
        serve("sqlite:////data/mlflow.db"),
        environment={"HOME": "/data"},
        port=(5000, port),
        folder=folder,
        # The benchmark writes into the file too.
        user=f"{os.getuid()}:{os.getgid()}",
    )
    return System(name=SQLITE, url=f"http://127.0.0.1:{port}", server=server, file=folder / "mlflow.db")


def start_stock_postgres(environment: Environment, role: str, port: int | None = None) -> Container:
    """Start PostgreSQL's image with a user, a password and a database only. Returns when it answers."""
    container = environment.run(
        role,
        f"postgres:{default_setting('postgresVersion')}-trixie",
        environment={"POSTGRES_USER": "user", "POSTGRES_PASSWORD": "password", "POSTGRES_DB": "mlflow"},
        port=(5432, port) if port else None,
        volume=f"{POSTGRES_DATA}/data"
        if int(default_setting("postgresVersion").partition(".")[0]) < 18
        else POSTGRES_DATA,
    )
    # Over TCP, because the temporary server of the first start listens on the socket only.
    ready = ["pg_isready", "-h", "127.0.0.1", "-U", "user", "-d", "mlflow"]
    wait_until(lambda: container.exec_run(ready)[0] == 0, f"PostgreSQL of {role}", _UP)
    return container


def start_tutorial(environment: Environment, image: str) -> System:
    """PostgreSQL with its defaults, and plain MLflow."""
    database, port = free_ports(2)
    postgres = start_stock_postgres(environment, "tutorial-postgres", database)
    uri = stock_uri("tutorial-postgres")
    return System(
        name=TUTORIAL,
        url=f"http://127.0.0.1:{port}",
        server=environment.run(TUTORIAL, image, serve(uri), port=(5000, port), volume="/data"),
        postgres=postgres,
        conninfo=f"host=127.0.0.1 port={database} user=user password=password dbname=mlflow",
        superuser=("user", "mlflow"),
    )


def start_fasttrackml(environment: Environment, image: str) -> System:
    """PostgreSQL with its defaults, and FastTrackML."""
    database, port = free_ports(2)
    postgres = start_stock_postgres(environment, "fasttrackml-postgres", database)
    server = environment.run(
        FASTTRACKML,
        image,
        fasttrackml.command("postgres://user:password@fasttrackml-postgres/mlflow"),
        port=(5000, port),
        volume="/data",
    )
    return System(
        name=FASTTRACKML,
        url=f"http://127.0.0.1:{port}",
        server=server,
        postgres=postgres,
        conninfo=f"host=127.0.0.1 port={database} user=user password=password dbname=mlflow",
        superuser=("user", "mlflow"),
        partial=True,
    )


def stock_uri(postgres: str) -> str:
    """The store URI. It names the driver because SQLAlchemy 2.1 uses psycopg 3 for `postgresql://`."""
    return f"postgresql+psycopg2://user:password@{postgres}/mlflow"


def serve(store: str) -> list[str]:
    """The command of MLflow's server, with only the necessary options."""
    return [
        *("mlflow", "server", "--host", "0.0.0.0", "--port", "5000"),
        *("--backend-store-uri", store, "--artifacts-destination", "/data/artifacts"),
    ]


def system_of(product: Product, name: str = OURS) -> System:
    """The running stack of the project as a system."""
    outputs = product.outputs()
    password = outputs.get("admin_password")
    return System(
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


def start_product(product: Product, name: str = OURS) -> System:
    product.up()
    return system_of(product, name)


_OTHERS = {
    SQLITE: ("plain", start_sqlite),
    TUTORIAL: ("plain", start_tutorial),
    FASTTRACKML: ("fasttrackml", start_fasttrackml),
}
"""The image and the start of each system that is no stack of the project."""


def start_all(
    environment: Environment, images: dict[str, str], sides: Sequence[str], products: dict[str, Product]
) -> list[System]:
    """Start all systems, `products` last. Each is idle and warmed up when this returns."""
    with ThreadPoolExecutor(1) as pool:
        stacks = [pool.submit(start_product, product, name) for name, product in products.items()]
        systems = []
        for name, (image, start) in _OTHERS.items():
            if name in sides:
                # One after the other, because uvicorn ends workers that take more than five seconds to import MLflow.
                system = start(environment, images[image])
                system.wait()
                systems.append(system)
        systems += [stack.result() for stack in stacks]
    for system in systems:
        system.wait()
        system.warm_up()
    return systems


def journal_mode(file: Path) -> str:
    """SQLite's journal mode. MLflow does not set it."""
    connection = sqlite3.connect(file)
    try:
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])
    finally:
        connection.close()

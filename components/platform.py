"""The whole of it: networks, PostgreSQL, MLflow, and what is switched on beside them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_docker as docker
import pulumi_random as random

from . import adminer, mlflow, postgres
from .adminer import Adminer, AdminerArgs
from .engine import SingleHost
from .image import Image
from .mlflow import Mlflow, MlflowArgs
from .postgres import Postgres, PostgresArgs
from .workload import Port


@dataclass(frozen=True, kw_only=True)
class PlatformArgs:
    """What the platform needs to be told. All plain: each of these shapes the plan."""

    images: Path
    """Folder that holds the images' folders, relative to the program."""
    mlflow_version: str = "3.17.2"
    postgres_major: int = 17
    postgres_base: str = "postgres:17-trixie"
    python_base: str = "python:3.13-slim-trixie"
    debian_base: str = "debian:trixie-slim"
    database: str = "mlflow"
    user: str = "mlflow"
    bind_address: str = "127.0.0.1"
    mlflow_port: int = 5000
    postgres_port: int | None = None
    """Host port of PostgreSQL; without it the database is reached from its own network alone."""
    adminer_port: int | None = None
    """Host port of Adminer, which runs only if it is given."""
    keep_data: bool = True
    """Leave the volumes on the host when the stack is destroyed."""

    @property
    def image_builds(self) -> dict[str, Image]:
        """The images that this platform builds, by role."""
        locks = (self.images / mlflow.ROLE / "locks").glob("*.txt")
        images = {
            postgres.ROLE: Image(context=self.images / postgres.ROLE, base=self.postgres_base),
            mlflow.ROLE: Image(
                context=self.images / mlflow.ROLE,
                base=self.python_base,
                arguments={"MLFLOW_VERSION": self.mlflow_version},
                unused=[lock for lock in locks if lock.stem != self.mlflow_version],
            ),
        }
        if self.adminer_port:
            images[adminer.ROLE] = Image(context=self.images / adminer.ROLE, base=self.debian_base)
        return images


class Platform(pulumi.ComponentResource):
    """MLflow on PostgreSQL. Everything on the host is named after the platform and the stack."""

    outputs: dict[str, pulumi.Input[str | int]]
    """What other stacks may read, by the name of the stack output."""

    def __init__(self, name: str, args: PlatformArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("mlflow-postgres:index:Platform", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        deployment = random.RandomId(f"{name}-deployment", byte_length=8, opts=child)
        self._engine = SingleHost(object_prefix(name, pulumi.get_stack()), deployment.hex)

        tracking = self._engine.network(f"{name}-tracking", "tracking", internal=False, opts=child)
        database = self._engine.network(f"{name}-database", "database", internal=True, opts=child)
        server = self._postgres(name, args, database, child)
        Mlflow(
            f"{name}-mlflow",
            MlflowArgs(
                image=args.image_builds[mlflow.ROLE],
                networks=[tracking.name, database.name],
                port=Port(container=mlflow.PORT, host=args.mlflow_port, address=args.bind_address),
                database_host=postgres.ROLE,
                database_port=postgres.PORT,
                database=args.database,
                database_user=args.user,
                database_password=server.password,
                keep_data=args.keep_data,
                # Without its database MLflow does not start.
                starts_after=[server],
            ),
            self._engine,
            child,
        )
        if args.adminer_port:
            Adminer(
                f"{name}-adminer",
                AdminerArgs(
                    image=args.image_builds[adminer.ROLE],
                    networks=[tracking.name, database.name],
                    port=Port(container=adminer.PORT, host=args.adminer_port, address=args.bind_address),
                ),
                self._engine,
                child,
            )
        self.outputs = _outputs(args, tracking.name, server.password)
        self.register_outputs(self.outputs)

    def _postgres(
        self, name: str, args: PlatformArgs, database: docker.Network, child: pulumi.ResourceOptions
    ) -> Postgres:
        networks: list[pulumi.Input[str]] = [database.name]
        port = None
        if args.postgres_port:
            # An internal network opens no ports on the host, so a published server needs a second one, of its own.
            published = self._engine.network(f"{name}-published", "published", internal=False, opts=child)
            networks.append(published.name)
            port = Port(container=postgres.PORT, host=args.postgres_port, address=args.bind_address)
        return Postgres(
            f"{name}-postgres",
            PostgresArgs(
                image=args.image_builds[postgres.ROLE],
                major=args.postgres_major,
                networks=networks,
                database=args.database,
                user=args.user,
                port=port,
                keep_data=args.keep_data,
            ),
            self._engine,
            child,
        )


def object_prefix(name: str, stack: str) -> str:
    """What the names of the objects on the engine begin with, for the platform `name` in the stack `stack`."""
    return f"{name}-{stack}"


def _outputs(
    args: PlatformArgs, network: pulumi.Output[str], password: pulumi.Output[str]
) -> dict[str, pulumi.Input[str | int]]:
    address = _in_url(_reached_at(args.bind_address))
    database_host = _reached_at(args.bind_address) if args.postgres_port else postgres.ROLE
    database_port = args.postgres_port or postgres.PORT
    outputs: dict[str, pulumi.Input[str | int]] = {
        "tracking_url": f"http://{address}:{args.mlflow_port}",
        "internal_tracking_url": f"http://{mlflow.ROLE}:{mlflow.PORT}",
        "network_name": network,
        "postgres_host": database_host,
        "postgres_port": database_port,
        "postgres_database": args.database,
        "postgres_user": args.user,
        "postgres_password": password,
        "backend_store_uri": pulumi.Output.secret(
            pulumi.Output.format(
                "postgresql+psycopg://{user}:{password}@{host}:{port}/{database}",
                user=args.user,
                password=password,
                host=_in_url(database_host),
                port=str(database_port),
                database=args.database,
            )
        ),
        "mlflow_version": args.mlflow_version,
    }
    if args.adminer_port:
        server = f"pgsql={postgres.ROLE}&username={args.user}&db={args.database}"
        outputs["adminer_url"] = f"http://{address}:{args.adminer_port}/?{server}"
    return outputs


def _reached_at(address: str) -> str:
    """How a client on the Docker host reaches what listens on `address`; "every address" is none to connect to."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host

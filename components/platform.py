"""The platform: networks, a database, its schema, MLflow, and the services that are switched on in addition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pulumi
import pulumi_random as random

from contract.names import object_prefix

from .database import managed
from .database.connections import connection_budget
from .database.managed import Postgres, PostgresArgs
from .database.server import DatabaseConnection, DatabaseServer, Login
from .engine import DockerHost, EngineFactory, Network
from .engine.workload import Limits, Port
from .image import Image
from .metrics import Metrics
from .outputs import outputs
from .services import adminer, exporter, gateway, mlflow
from .services.adminer import Adminer, AdminerArgs
from .services.exporter import Exporter, ExporterArgs
from .services.gateway import FrontDoor, Gateway, GatewayArgs
from .services.mlflow import Mlflow, MlflowArgs
from .services.retention import Retention, RetentionArgs
from .services.schema import Schema, SchemaArgs
from .services.sign_in import SignIn


@dataclass(frozen=True, kw_only=True)
class PlatformArgs:
    """Arguments of `Platform`. All are plain except secrets, because each decides which resources there are."""

    images: Path
    """The folder with a folder for each image, relative to the program."""
    engine: EngineFactory = DockerHost
    """Where everything runs."""
    database_server: DatabaseServer | None = None
    """A database that exists already. None creates a PostgreSQL server."""
    mlflow_version: str = "3.17.2"
    postgres_major: int = 17
    postgres_base: str = "postgres:17-trixie"
    python_base: str = "python:3.13-slim-trixie"
    debian_base: str = "debian:trixie-slim"
    database: str = "mlflow"
    user: str = "mlflow"
    bind_address: str = "127.0.0.1"
    side_address: str = "127.0.0.1"
    """Address of the ports of PostgreSQL and Adminer, which have no TLS."""
    more_hosts: Sequence[str] = ()
    """Names and addresses that MLflow answers to beside its own; a front door has a list of its own."""
    mlflow_port: int = 5000
    """Host port of MLflow; without meaning where there is a front door."""
    postgres_port: int | None = None
    """Host port of PostgreSQL; without it the database is reached from its own network alone."""
    adminer_port: int | None = None
    """Host port of Adminer, which runs only if it is given."""
    front_door: FrontDoor | None = None
    """The gateway before MLflow, which runs only if it is given."""
    metrics: Metrics | None = None
    """Where figures for monitoring are read; there are none unless it is given."""
    sign_in: bool = False
    credentials_version: int = 1
    """A number that only rises: with each rise every generated secret is made anew."""
    workers: int = 4
    jobs: bool = False
    """Whether MLflow's server runs jobs of its own, such as judges that are started from its pages."""
    postgres_settings: Mapping[str, str] = field(default_factory=dict)
    """Settings of PostgreSQL by name, beside or instead of those that follow from its limits."""
    mlflow_limits: Limits = field(default_factory=lambda: Limits(memory_mb=4096))
    postgres_limits: Limits = field(default_factory=lambda: Limits(memory_mb=2048))
    gc_after_days: int | None = None
    """After how many days what was deleted is removed for good; never unless given."""
    keep_data: bool = True
    """Leave the volumes on the host when the stack is destroyed."""
    protect_data: bool = False
    """Refuse to destroy the stack at all."""

    @property
    def image_builds(self) -> dict[str, Image]:
        """The images that this platform builds, by role."""
        locks = (self.images / mlflow.ROLE / "locks").iterdir()
        images = {
            mlflow.ROLE: Image(
                context=self.images / mlflow.ROLE,
                base=self.python_base,
                # Dumps are made and read by the tools of the very server.
                arguments={"MLFLOW_VERSION": self.mlflow_version, "POSTGRES_IMAGE": self.postgres_base},
                unused=[lock for lock in locks if lock.name != f"{self.mlflow_version}.txt"],
            ),
        }
        if self.database_server is None:
            images[managed.ROLE] = Image(context=self.images / managed.ROLE, base=self.postgres_base)
        if self.adminer_port:
            images[adminer.ROLE] = Image(context=self.images / adminer.ROLE, base=self.debian_base)
        if self.metrics:
            images[exporter.ROLE] = Image(context=self.images / exporter.ROLE, base=self.debian_base)
        if self.front_door:
            images[gateway.ROLE] = Image(context=self.images / gateway.ROLE, base=self.debian_base)
        return images


class Platform(pulumi.ComponentResource):
    """MLflow on PostgreSQL. The names of all objects on the engine begin with the platform's name and the stack's."""

    outputs: dict[str, pulumi.Input[str | int]]
    """The stack outputs by name. A program exports them so that other stacks can read them."""

    def __init__(self, name: str, args: PlatformArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("mlflow-postgres:index:Platform", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        deployment = random.RandomId(f"{name}-deployment", byte_length=8, opts=self._child)
        self._engine = args.engine(object_prefix(name, pulumi.get_stack()), deployment.hex)

        tracking = self._engine.network(f"{name}-tracking", "tracking", internal=False, opts=self._child)
        # A server elsewhere cannot be reached from an internal network.
        inner = self._engine.network(
            f"{name}-database", "database", internal=args.database_server is None, opts=self._child
        )
        sign_in = (
            SignIn(f"{name}-sign-in", version=args.credentials_version, opts=self._child) if args.sign_in else None
        )
        database = args.database_server or self._postgres(inner)
        # Built while the database starts. The schema job and the server share it: a schema belongs to one version of
        # MLflow.
        image = self._engine.build(f"{name}-mlflow-image", mlflow.ROLE, args.image_builds[mlflow.ROLE], self._child)
        server = self._mlflow(image, tracking, inner, database, sign_in)
        if args.adminer_port:
            self._adminer(args.adminer_port, tracking, inner, database)
        if args.gc_after_days:
            self._retention(args.gc_after_days, image, inner, database, server)
        if args.metrics and database.monitor:
            self._exporter(args.metrics, inner, database, database.monitor)
        if args.front_door:
            self._gateway(args.front_door, tracking, server)
        self.outputs = outputs(args, tracking.name, database, sign_in)
        self.register_outputs(self.outputs)

    def _postgres(self, inner: Network) -> Postgres:
        args = self._args
        networks: list[pulumi.Input[str]] = [inner.name]
        port = None
        if args.postgres_port:
            # An internal network publishes no ports, so a published server needs a second network.
            published = self._engine.network(
                f"{self._name}-published", "published", internal=False, outbound=False, opts=self._child
            )
            networks.append(published.name)
            port = Port(container=managed.PORT, host=args.postgres_port, address=args.side_address)
        return Postgres(
            f"{self._name}-postgres",
            PostgresArgs(
                image=args.image_builds[managed.ROLE],
                major=args.postgres_major,
                networks=networks,
                internal_network=inner.subnet,
                connections=connection_budget(
                    args.workers,
                    sign_in=args.sign_in,
                    jobs=args.jobs,
                    retention=bool(args.gc_after_days),
                    metrics=bool(args.metrics),
                ),
                credentials_version=args.credentials_version,
                limits=args.postgres_limits,
                settings=args.postgres_settings,
                database=args.database,
                user=args.user,
                port=port,
                # On a loopback address every client connects through the host, whatever address it has itself.
                published_to="samenet" if args.side_address == "127.0.0.1" else "all",
                keep_data=args.keep_data,
                protect_data=args.protect_data,
            ),
            self._engine,
            self._child,
        )

    def _mlflow(
        self,
        image: pulumi.Output[str],
        tracking: Network,
        inner: Network,
        database: DatabaseServer,
        sign_in: SignIn | None,
    ) -> Mlflow:
        args = self._args
        schema = Schema(
            f"{self._name}-schema",
            SchemaArgs(
                image=image,
                network=inner.name,
                database=DatabaseConnection(server=database, login=database.owner),
                server_user=database.server.user,
                credentials_version=args.credentials_version,
                sign_in=sign_in,
                keep_data=args.keep_data,
                protect_data=args.protect_data,
                starts_after=database.resources,
            ),
            self._engine,
            self._child,
        )
        return Mlflow(
            f"{self._name}-mlflow",
            MlflowArgs(
                image=image,
                networks=[tracking.name, inner.name],
                database=DatabaseConnection(server=database, login=database.server),
                keys=schema.keys,
                workers=args.workers,
                jobs=args.jobs,
                limits=args.mlflow_limits,
                port=None
                if args.front_door
                else Port(container=mlflow.PORT, host=args.mlflow_port, address=args.bind_address),
                metrics=args.metrics.of_mlflow if args.metrics else None,
                origins=args.front_door.origins if args.front_door else (),
                allowed_hosts=args.more_hosts,
                sign_in=sign_in,
                keep_data=args.keep_data,
                protect_data=args.protect_data,
                starts_after=schema.done.apply(lambda done: [done]),
            ),
            self._engine,
            self._child,
        )

    def _adminer(self, port: int, tracking: Network, inner: Network, database: DatabaseServer) -> None:
        Adminer(
            f"{self._name}-adminer",
            AdminerArgs(
                image=self._args.image_builds[adminer.ROLE],
                host=database.host,
                database=database.database,
                user=database.server.user,
                readonly_user=database.readonly.user,
                networks=[tracking.name, inner.name],
                port=Port(container=adminer.PORT, host=port, address=self._args.side_address),
            ),
            self._engine,
            self._child,
        )

    def _retention(
        self, days: int, image: pulumi.Output[str], inner: Network, database: DatabaseServer, server: Mlflow
    ) -> None:
        Retention(
            # An older name of the service. Another one would replace it in every stack.
            f"{self._name}-housekeeping",
            RetentionArgs(
                image=image,
                network=inner.name,
                database=DatabaseConnection(server=database, login=database.server),
                artifacts=server.volume_name,
                after_days=days,
                starts_after=[server],
            ),
            self._engine,
            self._child,
        )

    def _exporter(self, metrics: Metrics, inner: Network, database: DatabaseServer, monitor: Login) -> None:
        # An internal network publishes no ports. This one has no other members.
        network = self._engine.network(
            f"{self._name}-metrics", "metrics", internal=False, outbound=False, opts=self._child
        )
        Exporter(
            f"{self._name}-exporter",
            ExporterArgs(
                image=self._args.image_builds[exporter.ROLE],
                networks=[inner.name, network.name],
                database=DatabaseConnection(server=database, login=monitor),
                port=metrics.of_postgres,
                credentials_version=self._args.credentials_version,
                starts_after=database.resources,
            ),
            self._engine,
            self._child,
        )

    def _gateway(self, front_door: FrontDoor, tracking: Network, server: Mlflow) -> None:
        Gateway(
            f"{self._name}-gateway",
            GatewayArgs(
                image=self._args.image_builds[gateway.ROLE],
                network=tracking.name,
                front_door=front_door,
                address=self._args.bind_address,
                upstream=f"{mlflow.ROLE}:{mlflow.PORT}",
                keep_data=self._args.keep_data,
                starts_after=[server],
            ),
            self._engine,
            self._child,
        )

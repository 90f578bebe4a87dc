"""The platform: networks, a database, its schema, MLflow, and the services that are switched on in addition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pulumi
import pulumi_random as random

from contract.names import object_prefix

from . import defaults, validation
from .database import managed
from .database.connections import connection_budget
from .database.managed import Postgres, PostgresArgs, PostgresOptions
from .database.server import DatabaseConnection, DatabaseServer, Login
from .endpoint import PublicEndpoint
from .engine import DockerHost, EngineFactory, Network
from .errors import refuse
from .image import Image
from .metrics import Metrics
from .outputs import outputs
from .ports import PublishedPort
from .services import exporter, gateway, mlflow
from .services.exporter import Exporter, ExporterArgs
from .services.gateway import Gateway, GatewayArgs
from .services.mlflow import Mlflow, MlflowArgs, MlflowOptions
from .services.retention import Retention, RetentionArgs
from .services.schema import Schema, SchemaArgs
from .services.sidecar import Sidecar, SidecarService, Site
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
    mlflow: MlflowOptions = field(default_factory=MlflowOptions)
    postgres: PostgresOptions = field(default_factory=PostgresOptions)
    """Of the server that is created. With an existing one they only choose the programs in MLflow's image."""
    sidecars: Sequence[Sidecar] = ()
    """More services, such as `Adminer()`."""
    python_image: str = defaults.PYTHON_IMAGE
    debian_image: str = defaults.DEBIAN_IMAGE
    bind_address: str = defaults.ADDRESS
    """Address of the host that MLflow's ports are published on. Beyond loopback, sign-in and TLS are required."""
    allow_open_access: bool = False
    """Publish on any address without sign-in and TLS: everybody who reaches it reads and writes the runs."""
    allowed_hosts: Sequence[str] = ()
    """More names and addresses that clients may use for MLflow."""
    endpoint: PublicEndpoint | None = None
    """The names and the certificate of a gateway in front of MLflow. None runs no gateway."""
    metrics: Metrics | None = None
    """Where Prometheus reads metrics. None collects none."""
    sign_in: bool = False
    credentials_version: int = 1
    """A number that is only ever raised. Each rise generates all secrets again."""
    gc_after_days: int | None = None
    """Days after which deleted items are removed for good. None removes nothing."""
    keep_data: bool = True
    """Leave the volumes on the engine when the stack is destroyed."""
    protect_data: bool = False
    """Refuse to destroy the stack."""

    def __post_init__(self) -> None:
        """Raises `DeploymentError` with everything that is wrong with the arguments."""
        refuse(validation.errors(self))

    @property
    def unencrypted_address(self) -> str:
        """Address of the ports of PostgreSQL and the sidecars. Without TLS, sign-in alone does not open them."""
        return self.bind_address if self.allow_open_access else defaults.ADDRESS

    @property
    def published_ports(self) -> list[PublishedPort]:
        """The ports that this platform publishes on the host."""
        if self.endpoint:
            ports = self.endpoint.published_ports(self.bind_address)
        else:
            ports = [self.mlflow.published_port(self.bind_address)]
        if database := self.postgres.published_port(self.unencrypted_address):
            ports.append(database)
        for sidecar in self.sidecars:
            ports += sidecar.ports(self.unencrypted_address)
        if self.metrics:
            ports += [self.metrics.of_mlflow, self.metrics.of_postgres]
        return ports

    @property
    def image_builds(self) -> dict[str, Image]:
        """The images that this platform builds, by role."""
        checkout = self.images.parent
        folder = self.images / mlflow.ROLE
        images = {
            mlflow.ROLE: Image(
                context=checkout,
                dockerfile=folder / "Dockerfile",
                base=self.python_image,
                # Dumps are made and read by the tools of the very server.
                arguments={"MLFLOW_VERSION": self.mlflow.version, "POSTGRES_IMAGE": self.postgres.base},
                sources=[
                    *(folder / name for name in ("Dockerfile", "collect-postgresql")),
                    folder / "locks" / f"{self.mlflow.version}.txt",
                    *(checkout / "server" / name for name in ("build.txt", "pyproject.toml", "src")),
                    *(checkout / name for name in (".dockerignore", "contract")),
                ],
            ),
        }
        if self.database_server is None:
            images[managed.ROLE] = Image(context=self.images / managed.ROLE, base=self.postgres.base)
        for sidecar in self.sidecars:
            images[sidecar.role] = sidecar.image(self.images, self.debian_image)
        if self.metrics:
            images[exporter.ROLE] = Image(context=self.images / exporter.ROLE, base=self.debian_image)
        if self.endpoint:
            images[gateway.ROLE] = Image(context=self.images / gateway.ROLE, base=self.debian_image)
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
        database_network = self._engine.network(
            f"{name}-database", "database", internal=args.database_server is None, opts=self._child
        )
        sign_in = (
            SignIn(f"{name}-sign-in", version=args.credentials_version, opts=self._child) if args.sign_in else None
        )
        database = args.database_server or self._postgres(database_network)
        # Built while the database starts. The schema job and the server share it: a schema belongs to one version of
        # MLflow.
        image = self._engine.build(f"{name}-mlflow-image", mlflow.ROLE, args.image_builds[mlflow.ROLE], self._child)
        server = self._mlflow(image, tracking, database_network, database, sign_in)
        site = Site(
            tracking=tracking.name,
            database_network=database_network.name,
            database=database,
            address=args.unencrypted_address,
        )
        for sidecar in args.sidecars:
            self._sidecar(sidecar, site)
        if args.gc_after_days:
            self._retention(args.gc_after_days, image, database_network, database, server)
        if args.metrics and database.monitor:
            self._exporter(args.metrics, database_network, database, database.monitor)
        if args.endpoint:
            self._gateway(args.endpoint, tracking, server)
        self.outputs = {name: value for sidecar in args.sidecars for name, value in sidecar.outputs(site).items()}
        self.outputs |= outputs(args, tracking.name, database, sign_in)
        self.register_outputs(self.outputs)

    def _postgres(self, database_network: Network) -> Postgres:
        args = self._args
        networks: list[pulumi.Input[str]] = [database_network.name]
        if args.postgres.port:
            # An internal network publishes no ports, so a published server needs a second network.
            published = self._engine.network(
                f"{self._name}-published", "published", internal=False, outbound=False, opts=self._child
            )
            networks.append(published.name)
        return Postgres(
            f"{self._name}-postgres",
            PostgresArgs(
                image=args.image_builds[managed.ROLE],
                options=args.postgres,
                networks=networks,
                internal_network=database_network.subnet,
                connections=connection_budget(
                    args.mlflow.worker_count,
                    sign_in=args.sign_in,
                    jobs=args.mlflow.jobs,
                    retention=bool(args.gc_after_days),
                    metrics=bool(args.metrics),
                ),
                credentials_version=args.credentials_version,
                address=args.unencrypted_address,
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
        database_network: Network,
        database: DatabaseServer,
        sign_in: SignIn | None,
    ) -> Mlflow:
        args = self._args
        schema = Schema(
            f"{self._name}-schema",
            SchemaArgs(
                image=image,
                network=database_network.name,
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
                options=args.mlflow,
                networks=[tracking.name, database_network.name],
                database=DatabaseConnection(server=database, login=database.server),
                keys=schema.keys,
                address=None if args.endpoint else args.bind_address,
                metrics=args.metrics.of_mlflow if args.metrics else None,
                origins=args.endpoint.origins(args.allowed_hosts) if args.endpoint else (),
                allowed_hosts=args.allowed_hosts,
                sign_in=sign_in,
                keep_data=args.keep_data,
                protect_data=args.protect_data,
                starts_after=schema.done.apply(lambda done: [done]),
            ),
            self._engine,
            self._child,
        )

    def _sidecar(self, sidecar: Sidecar, site: Site) -> None:
        image = self._args.image_builds[sidecar.role]
        SidecarService(f"{self._name}-{sidecar.role}", sidecar, site, image, self._engine, self._child)

    def _retention(
        self, days: int, image: pulumi.Output[str], database_network: Network, database: DatabaseServer, server: Mlflow
    ) -> None:
        Retention(
            # An older name of the service. Another one would replace it in every stack.
            f"{self._name}-housekeeping",
            RetentionArgs(
                image=image,
                network=database_network.name,
                database=DatabaseConnection(server=database, login=database.server),
                artifacts=server.volume_name,
                after_days=days,
                starts_after=[server],
            ),
            self._engine,
            self._child,
        )

    def _exporter(self, metrics: Metrics, database_network: Network, database: DatabaseServer, monitor: Login) -> None:
        # An internal network publishes no ports. This one has no other members.
        network = self._engine.network(
            f"{self._name}-metrics", "metrics", internal=False, outbound=False, opts=self._child
        )
        Exporter(
            f"{self._name}-exporter",
            ExporterArgs(
                image=self._args.image_builds[exporter.ROLE],
                networks=[database_network.name, network.name],
                database=DatabaseConnection(server=database, login=monitor),
                port=metrics.of_postgres,
                credentials_version=self._args.credentials_version,
                starts_after=database.resources,
            ),
            self._engine,
            self._child,
        )

    def _gateway(self, endpoint: PublicEndpoint, tracking: Network, server: Mlflow) -> None:
        Gateway(
            f"{self._name}-gateway",
            GatewayArgs(
                image=self._args.image_builds[gateway.ROLE],
                network=tracking.name,
                endpoint=endpoint,
                allowed_hosts=self._args.allowed_hosts,
                address=self._args.bind_address,
                upstream=f"{mlflow.ROLE}:{mlflow.PORT}",
                keep_data=self._args.keep_data,
                starts_after=[server],
            ),
            self._engine,
            self._child,
        )

"""The platform: networks, a database, its schema, MLflow, and the services that are switched on in addition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pulumi
import pulumi_random as random

from contract.names import object_prefix

from . import defaults, validation
from .database import managed
from .database.connections import connection_budget
from .database.managed import Postgres, PostgresArgs, PublishedTo
from .database.server import DatabaseConnection, DatabaseServer, Login
from .endpoint import PublicEndpoint, Tls
from .engine import DockerHost, EngineFactory, Network
from .engine.workload import Limits, Port
from .errors import refuse
from .image import Image
from .metrics import Metrics
from .outputs import outputs
from .services import adminer, exporter, gateway, mlflow
from .services.adminer import Adminer, AdminerArgs
from .services.exporter import Exporter, ExporterArgs
from .services.gateway import Gateway, GatewayArgs
from .services.mlflow import Mlflow, MlflowArgs
from .services.retention import Retention, RetentionArgs
from .services.schema import Schema, SchemaArgs
from .services.sign_in import SignIn


@dataclass(frozen=True, kw_only=True)
class PublishedPort:
    """A port on the host, and the argument that chose it."""

    argument: str
    role: str
    """Of the service that publishes it."""
    address: str
    host: int


@dataclass(frozen=True, kw_only=True)
class PlatformArgs:
    """Arguments of `Platform`. All are plain except secrets, because each decides which resources there are."""

    images: Path
    """The folder with a folder for each image, relative to the program."""
    engine: EngineFactory = DockerHost
    """Where everything runs."""
    database_server: DatabaseServer | None = None
    """A database that exists already. None creates a PostgreSQL server."""
    mlflow_version: str = defaults.MLFLOW_VERSION
    postgres_version: str = defaults.POSTGRES_VERSION
    """A major version such as "17", or a release such as "17.6"."""
    postgres_image: str = ""
    """The image to build PostgreSQL's from. Empty means the official one of the version."""
    python_image: str = defaults.PYTHON_IMAGE
    debian_image: str = defaults.DEBIAN_IMAGE
    database: str = defaults.DATABASE
    user: str = defaults.USER
    """The role that MLflow signs in as. The names of the other roles are made of it."""
    bind_address: str = defaults.ADDRESS
    """Address of the host that MLflow's ports are published on. Beyond loopback, sign-in and TLS are required."""
    allow_open_access: bool = False
    """Publish on any address without sign-in and TLS: everybody who reaches it reads and writes the runs."""
    allowed_hosts: Sequence[str] = ()
    """More names and addresses that clients may use for MLflow."""
    mlflow_port: int = defaults.MLFLOW_PORT
    """Host port of MLflow. Not used with an endpoint, which has its own ports."""
    postgres_port: int | None = None
    """Host port of PostgreSQL. None publishes no port."""
    adminer_port: int | None = None
    """Host port of Adminer. None runs no Adminer."""
    endpoint: PublicEndpoint | None = None
    """The names and the certificate of a gateway in front of MLflow. None runs no gateway."""
    metrics: Metrics | None = None
    """Where Prometheus reads metrics. None collects none."""
    sign_in: bool = False
    credentials_version: int = 1
    """A number that is only ever raised. Each rise generates all secrets again."""
    workers: int | None = None
    """Worker processes of MLflow's server. None is as many as its limits allow."""
    jobs: bool = False
    """Whether MLflow's server runs background jobs, such as judges that are started from its pages."""
    postgres_settings: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    """PostgreSQL's settings by name. They are added to those that follow from its limits, or replace them."""
    mlflow_limits: Limits = field(default_factory=lambda: Limits(memory_mb=defaults.MLFLOW_MEMORY))
    postgres_limits: Limits = field(default_factory=lambda: Limits(memory_mb=defaults.POSTGRES_MEMORY))
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
    def postgres_major(self) -> int:
        return int(self.postgres_version.partition(".")[0])

    @property
    def postgres_base(self) -> str:
        """The image that PostgreSQL's is built from."""
        return self.postgres_image or f"postgres:{self.postgres_version}-trixie"

    @property
    def unencrypted_address(self) -> str:
        """Address of the ports of PostgreSQL and Adminer. They have no TLS, so sign-in alone does not open them."""
        return self.bind_address if self.allow_open_access else defaults.ADDRESS

    @property
    def worker_count(self) -> int:
        """Worker processes of MLflow's server."""
        return self.workers or mlflow.worker_count(self.mlflow_limits, jobs=self.jobs)

    @property
    def published_ports(self) -> list[PublishedPort]:
        """The ports that this platform publishes on the host."""
        ports = []
        if self.endpoint:
            if self.endpoint.tls != Tls.OFF:
                ports.append(("endpoint.https_port", gateway.ROLE, self.bind_address, self.endpoint.https_port))
            if self.endpoint.http_port or self.endpoint.tls == Tls.OFF:
                ports.append(("endpoint.http_port", gateway.ROLE, self.bind_address, self.endpoint.http_port))
        else:
            ports.append(("mlflow_port", mlflow.ROLE, self.bind_address, self.mlflow_port))
        if self.postgres_port is not None:
            ports.append(("postgres_port", managed.ROLE, self.unencrypted_address, self.postgres_port))
        if self.adminer_port is not None:
            ports.append(("adminer_port", adminer.ROLE, self.unencrypted_address, self.adminer_port))
        if self.metrics:
            mlflow_metrics, postgres_metrics = self.metrics.of_mlflow, self.metrics.of_postgres
            ports.append(("metrics.mlflow_port", mlflow.ROLE, mlflow_metrics.address, mlflow_metrics.host))
            ports.append(("metrics.postgres_port", exporter.ROLE, postgres_metrics.address, postgres_metrics.host))
        return [
            PublishedPort(argument=argument, role=role, address=address, host=host)
            for argument, role, address, host in ports
        ]

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
                arguments={"MLFLOW_VERSION": self.mlflow_version, "POSTGRES_IMAGE": self.postgres_base},
                sources=[
                    *(folder / name for name in ("Dockerfile", "collect-postgresql")),
                    folder / "locks" / f"{self.mlflow_version}.txt",
                    *(checkout / "server" / name for name in ("build.txt", "pyproject.toml", "src")),
                    *(checkout / name for name in (".dockerignore", "contract")),
                ],
            ),
        }
        if self.database_server is None:
            images[managed.ROLE] = Image(context=self.images / managed.ROLE, base=self.postgres_base)
        if self.adminer_port:
            images[adminer.ROLE] = Image(context=self.images / adminer.ROLE, base=self.debian_image)
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
        if args.adminer_port:
            self._adminer(args.adminer_port, tracking, database_network, database)
        if args.gc_after_days:
            self._retention(args.gc_after_days, image, database_network, database, server)
        if args.metrics and database.monitor:
            self._exporter(args.metrics, database_network, database, database.monitor)
        if args.endpoint:
            self._gateway(args.endpoint, tracking, server)
        self.outputs = outputs(args, tracking.name, database, sign_in)
        self.register_outputs(self.outputs)

    def _postgres(self, database_network: Network) -> Postgres:
        args = self._args
        networks: list[pulumi.Input[str]] = [database_network.name]
        port = None
        if args.postgres_port:
            # An internal network publishes no ports, so a published server needs a second network.
            published = self._engine.network(
                f"{self._name}-published", "published", internal=False, outbound=False, opts=self._child
            )
            networks.append(published.name)
            port = Port(container=managed.PORT, host=args.postgres_port, address=args.unencrypted_address)
        return Postgres(
            f"{self._name}-postgres",
            PostgresArgs(
                image=args.image_builds[managed.ROLE],
                major=args.postgres_major,
                networks=networks,
                internal_network=database_network.subnet,
                connections=connection_budget(
                    args.worker_count,
                    sign_in=args.sign_in,
                    jobs=args.jobs,
                    retention=bool(args.gc_after_days),
                    metrics=bool(args.metrics),
                ),
                credentials_version=args.credentials_version,
                limits=args.postgres_limits,
                settings={name: managed.setting(value) for name, value in args.postgres_settings.items()},
                database=args.database,
                user=args.user,
                port=port,
                # On a loopback address every client connects through the host, whatever address it has itself.
                published_to=PublishedTo.SAMENET if args.unencrypted_address == defaults.ADDRESS else PublishedTo.ALL,
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
                networks=[tracking.name, database_network.name],
                database=DatabaseConnection(server=database, login=database.server),
                keys=schema.keys,
                workers=args.worker_count,
                jobs=args.jobs,
                limits=args.mlflow_limits,
                port=None
                if args.endpoint
                else Port(container=mlflow.PORT, host=args.mlflow_port, address=args.bind_address),
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

    def _adminer(self, port: int, tracking: Network, database_network: Network, database: DatabaseServer) -> None:
        Adminer(
            f"{self._name}-adminer",
            AdminerArgs(
                image=self._args.image_builds[adminer.ROLE],
                host=database.host,
                database=database.database,
                user=database.server.user,
                readonly_user=database.readonly.user,
                networks=[tracking.name, database_network.name],
                port=Port(container=adminer.PORT, host=port, address=self._args.unencrypted_address),
            ),
            self._engine,
            self._child,
        )

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

"""PostgreSQL of our own: the passwords of its roles, its volume and its container. Knows nothing of MLflow."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import pulumi
import pulumi_random as random

from contract import environment, labels, paths, ports, roles, users

from ..engine import Engine
from ..engine.workload import Limits, Mount, Port, Probe, SecretFile, Task, Workload
from ..image import Image
from .connections import ConnectionBudget
from .server import Login, SslMode
from .tuning import settings_for

ROLE = roles.POSTGRES
PORT = ports.POSTGRES

# MLflow's tables that the readonly role may not read. users: password hashes. secrets: keys of MLflow's gateway,
# encrypted. webhooks: encrypted signing keys. jobs: token hashes, and parameters that may hold anything. PostgreSQL's
# start and the schema job grant all tables to the role, and then revoke these.
PRIVATE_TABLES = {environment.PRIVATE_TABLES: "users,secrets,webhooks,jobs"}

# Starts a server with these settings on an empty cluster, while the one in use keeps running. It prints the reason of a
# failure in one line, because the user sees the last line of a task.
_CHECK = """set -eu
initdb --pgdata=/tmp/cluster --username=postgres --auth=reject --no-sync >/dev/null
pg_ctl --pgdata=/tmp/cluster --log=/tmp/log --silent --wait --options="$1" start >/dev/null 2>&1 || {
  why=$(grep -E '^(FATAL|DETAIL|HINT):' /tmp/log || tail -n 3 /tmp/log)
  printf '%s' "$why" | tr '\\n' ' ' >&2
  echo "; no server was touched. Mend it with: bin/pulumi config rm --path 'postgresSettings.NAME'" >&2
  exit 1
}
"""
_CHECK_OPTIONS = "-c log_line_prefix= -c listen_addresses= -c unix_socket_directories=/tmp"


class PublishedTo(StrEnum):
    """Who may sign in through a published port."""

    NOBODY = "nobody"
    SAMENET = "samenet"
    """Clients on the host itself."""
    ALL = "all"
    """Clients with any address."""


@dataclass(frozen=True, kw_only=True)
class PostgresArgs:
    """Arguments of `Postgres`."""

    image: Image
    major: int
    """Major version of the server in the image. It decides where the volume is mounted."""
    networks: list[pulumi.Input[str]]
    internal_network: pulumi.Input[str]
    """Address range of the internal network, the only one from which the owner may sign in."""
    connections: ConnectionBudget
    credentials_version: int
    limits: Limits
    settings: Mapping[str, str] = field(default_factory=dict)
    """PostgreSQL's settings by name. They are added to those that follow from the limits, or replace them."""
    database: str = "mlflow"
    user: str = "mlflow"
    port: Port | None = None
    """Publishes the server on the host; None publishes nothing."""
    published_to: PublishedTo = PublishedTo.NOBODY
    """Who may sign in through that port."""
    keep_data: bool = True
    protect_data: bool = False


class Postgres(pulumi.ComponentResource):
    """A server with one database and its roles. Implements `server.DatabaseServer`."""

    host = ROLE
    port = PORT
    database: str
    owner: Login
    """Creates, changes and drops tables. May sign in from the internal network only."""
    server: Login
    """Reads and writes rows. Can neither create nor drop tables."""
    readonly: Login
    monitor: Login | None = None
    """Reads statistics and no rows. May sign in from the internal network only. None without connections for it."""
    # The server has no certificate: the services reach it through a network that nobody else is on.
    sslmode = SslMode.DISABLE
    ca_certificate = ""
    resources: Sequence[pulumi.Resource]
    volume_name: pulumi.Output[str]
    """The volume of the cluster."""

    def __init__(
        self, name: str, args: PostgresArgs, engine: Engine, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("mlflow-postgres:index:Postgres", name, None, opts)
        version = args.credentials_version
        # None for version 1: a stack that was created before there were versions keeps its passwords.
        self._keepers = {"version": str(version)} if version > 1 else None
        child = pulumi.ResourceOptions(parent=self)

        self.owner = self._login(f"{name}-owner-password", f"{args.user}_owner")
        self.server = self._login(f"{name}-password", args.user)
        self.readonly = self._login(f"{name}-readonly-password", f"{args.user}_readonly")
        if args.connections.monitor:
            self.monitor = self._login(f"{name}-monitor-password", f"{args.user}_monitor")
        volume = engine.volume(
            f"{name}-data",
            f"{ROLE}-data",
            keep=args.keep_data,
            protect=args.protect_data,
            labels={labels.POSTGRES_MAJOR: str(args.major)},
            opts=child,
        )
        image = engine.build(f"{name}-image", ROLE, args.image, child)
        settings = _options(args)
        limits = args.limits
        if limits.shared_memory_mb is None:
            # Parallel queries share memory in /dev/shm, and fail when the usual 64 MiB are used up.
            limits = replace(limits, shared_memory_mb=limits.memory_mb // 4)
        # Only settings of the user can be wrong, and the check takes seconds.
        checked = self._check(name, image, settings, limits, engine) if args.settings else None
        engine.run(
            f"{name}-server",
            ROLE,
            Workload(
                image=image,
                user=users.POSTGRES,
                command=["postgres", *settings],
                environment={
                    environment.POSTGRES_MAJOR: str(args.major),
                    environment.POSTGRES_VOLUME: engine.object_name(f"{ROLE}-data"),
                    environment.POSTGRES_DATABASE: args.database,
                    environment.POSTGRES_USER: args.user,
                    **PRIVATE_TABLES,
                    environment.INTERNAL_NETWORK: args.internal_network,
                    environment.PUBLISHED_TO: (args.published_to if args.port else PublishedTo.NOBODY).value,
                    environment.SERVER_CONNECTIONS: str(args.connections.server),
                    environment.OWNER_CONNECTIONS: str(args.connections.owner),
                    environment.READONLY_CONNECTIONS: str(args.connections.readonly),
                    environment.MONITOR_CONNECTIONS: str(args.connections.monitor),
                },
                secret_files=[
                    SecretFile(name=paths.OWNER_PASSWORD, content=self.owner.password),
                    SecretFile(name=paths.SERVER_PASSWORD, content=self.server.password),
                    SecretFile(name=paths.READONLY_PASSWORD, content=self.readonly.password),
                    *([SecretFile(name=paths.MONITOR_PASSWORD, content=self.monitor.password)] if self.monitor else []),
                ],
                mounts=[Mount(volume=volume.name, target=data_path(args.major))],
                memory_folders=["/tmp", "/run/postgresql"],
                ports=[args.port] if args.port else [],
                networks=args.networks,
                # Over TCP: while a new cluster is initialised, a temporary server answers on the socket.
                probe=Probe(command=["pg_isready", "-h", "127.0.0.1", "-U", args.user, "-d", args.database]),
                limits=limits,
                # PostgreSQL's fast shutdown: on SIGTERM it would wait for every client to disconnect.
                stop_signal="SIGINT",
                # The shutdown writes a checkpoint first. After a kill the next start would need a recovery.
                stop_seconds=120,
            ),
            pulumi.ResourceOptions.merge(
                child, pulumi.ResourceOptions(depends_on=checked.apply(lambda done: [done]) if checked else None)
            ),
        )
        self.database = args.database
        self.volume_name = volume.name
        self.resources = [self]
        self.register_outputs({"password": self.server.password, "volume_name": self.volume_name})

    def _check(
        self, name: str, image: pulumi.Input[str], settings: list[str], limits: Limits, engine: Engine
    ) -> pulumi.Output[pulumi.Resource]:
        """Start a second server with the settings, for a moment. If it does not start, the program ends."""
        return engine.run_once(
            f"{name}-settings",
            roles.SETTINGS,
            Task(
                image=image,
                user=users.POSTGRES,
                entrypoint=["sh", "-c", _CHECK, "settings"],
                command=[f"{_CHECK_OPTIONS} {shlex.join(settings)}"],
                scratch_folders=["/tmp"],
                limits=limits,
            ),
            pulumi.ResourceOptions(parent=self),
        )

    def _login(self, name: str, user: str) -> Login:
        # Letters and digits only: ':', '\\' and '@' have a meaning in a pass file or a URI.
        password = random.RandomPassword(
            name, length=32, special=False, keepers=self._keepers, opts=pulumi.ResourceOptions(parent=self)
        )
        return Login(user=user, password=pulumi.Output.secret(password.result))


def _options(args: PostgresArgs) -> list[str]:
    """The settings as options, always in the same order: another order would change the plan."""
    connections = args.connections.max_connections
    settings = settings_for(args.limits.memory_mb, args.limits.cpus, connections, args.major)
    chosen = {**settings, **args.settings, "max_connections": str(connections)}
    return [part for name, value in sorted(chosen.items()) for part in ("-c", f"{name}={value}")]


def setting(value: str | float) -> str:
    """A value of a setting as PostgreSQL reads it."""
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def data_path(major: int) -> str:
    """The folder of the official image that needs the volume. Elsewhere the data is lost with the container."""
    return "/var/lib/postgresql" if major >= 18 else "/var/lib/postgresql/data"

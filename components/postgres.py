"""PostgreSQL: its roles' passwords, its volume and its container. Knows nothing of MLflow."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pulumi
import pulumi_random as random

from contract import environment, labels, paths, ports, roles, users

from .connections import ConnectionBudget
from .engine import SingleHost
from .image import Image
from .postgres_settings import settings_for
from .workload import Limits, Mount, Port, Probe, SecretFile, Task, Workload

ROLE = roles.POSTGRES
PORT = ports.POSTGRES

# MLflow's tables that the reading role does not read. users: password hashes. secrets: the gateway's keys, wrapped.
# webhooks: encrypted signing keys. jobs: token hashes, and parameters that may hold anything. A server's start and the
# schema job give all tables to that role, and then take these back.
PRIVATE_TABLES = {environment.PRIVATE_TABLES: "users,secrets,webhooks,jobs"}

# A server on a cluster of its own starts with the settings, or says why not, while the one in use goes on. All of it in
# one line, for the last line of a task is what people are shown.
_CHECK = """set -eu
initdb --pgdata=/tmp/cluster --username=postgres --auth=reject --no-sync >/dev/null
pg_ctl --pgdata=/tmp/cluster --log=/tmp/said --silent --wait --options="$1" start >/dev/null 2>&1 || {
  why=$(grep -E '^(FATAL|DETAIL|HINT):' /tmp/said || tail -n 3 /tmp/said)
  printf '%s' "$why" | tr '\\n' ' ' >&2
  echo "; no server was touched. Mend it with: bin/pulumi config rm --path 'postgresSettings.NAME'" >&2
  exit 1
}
"""
_CHECK_OPTIONS = "-c log_line_prefix= -c listen_addresses= -c unix_socket_directories=/tmp"


@dataclass(frozen=True, kw_only=True)
class PostgresArgs:
    """What a PostgreSQL server needs to be told."""

    image: Image
    major: int
    """Major version of the server in the image. Plain: it decides where the volume is mounted."""
    networks: list[pulumi.Input[str]]
    internal_network: pulumi.Input[str]
    """Address range of the network without a way out, the only one from which the owner signs in."""
    connections: ConnectionBudget
    credentials_version: int
    limits: Limits
    settings: Mapping[str, str] = field(default_factory=dict)
    """By name, beside or instead of those that follow from the limits; plain, for they are shown to whoever asks."""
    database: str = "mlflow"
    user: str = "mlflow"
    port: Port | None = None
    """Where the server is reached from the Docker host; nowhere unless given."""
    published_to: Literal["nobody", "samenet", "all"] = "nobody"
    """Who may sign in through that port: who comes through the host itself, or from any address."""
    keep_data: bool = True
    protect_data: bool = False


@dataclass(frozen=True, kw_only=True)
class Login:
    """A role that signs in, and its password. Always secret."""

    user: str
    password: pulumi.Output[str]


class Postgres(pulumi.ComponentResource):
    """A server with one database and its roles: who owns it, who works in it, who only reads, and who watches."""

    owner: Login
    """May create, change and drop what is in the database, and only from the internal network."""
    server: Login
    """Reads and writes rows; neither creates nor drops."""
    readonly: Login
    monitor: Login | None = None
    """Reads statistics and no rows, and only from the internal network; there when the budget has room for it."""
    volume_name: pulumi.Output[str]
    """Name of the volume that holds the cluster."""

    def __init__(
        self, name: str, args: PostgresArgs, engine: SingleHost, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("mlflow-postgres:index:Postgres", name, None, opts)
        version = args.credentials_version
        # None with the first: a stack from before there were versions keeps its password, and its server goes on.
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
        # Only what somebody chose may be wrong, and the check takes seconds.
        checked = self._check(name, image.image_id, settings, args.limits, engine) if args.settings else None
        engine.run(
            f"{name}-server",
            ROLE,
            Workload(
                image=image.image_id,
                user=users.POSTGRES,
                command=["postgres", *settings],
                environment={
                    environment.POSTGRES_MAJOR: str(args.major),
                    environment.POSTGRES_VOLUME: engine.object_name(f"{ROLE}-data"),
                    environment.POSTGRES_DATABASE: args.database,
                    environment.POSTGRES_USER: args.user,
                    **PRIVATE_TABLES,
                    environment.INTERNAL_NETWORK: args.internal_network,
                    environment.PUBLISHED_TO: args.published_to if args.port else "nobody",
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
                # Over TCP: while a cluster is first made, a server without TCP answers on the socket alone.
                probe=Probe(command=["pg_isready", "-h", "127.0.0.1", "-U", args.user, "-d", args.database]),
                limits=args.limits,
                # What it calls a fast shutdown: on SIGTERM it would wait for every client to leave by itself.
                stop_signal="SIGINT",
                # A clean stop writes everything out first; a kill would cost a recovery at the next start.
                stop_seconds=120,
            ),
            pulumi.ResourceOptions.merge(
                child, pulumi.ResourceOptions(depends_on=checked.apply(lambda done: [done]) if checked else None)
            ),
        )
        self.volume_name = volume.name
        self.register_outputs({"password": self.server.password, "volume_name": self.volume_name})

    def _check(
        self, name: str, image: pulumi.Input[str], settings: list[str], limits: Limits, engine: SingleHost
    ) -> pulumi.Output[pulumi.Resource]:
        """Start a server with the settings once, beside the one in use; one that does not start ends the program."""
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
        # Letters and digits only: the value goes into a pass file and a URI, where ':', '\\' and '@' have a meaning.
        password = random.RandomPassword(
            name, length=32, special=False, keepers=self._keepers, opts=pulumi.ResourceOptions(parent=self)
        )
        return Login(user=user, password=pulumi.Output.secret(password.result))


def _options(args: PostgresArgs) -> list[str]:
    """The settings as options, always in the same order: another one would be a change of the plan."""
    connections = args.connections.max_connections
    settings = settings_for(args.limits.memory_mb, args.limits.cpus, connections, args.major)
    chosen = {**settings, **args.settings, "max_connections": str(connections)}
    return [part for name, value in sorted(chosen.items()) for part in ("-c", f"{name}={value}")]


def data_path(major: int) -> str:
    """Where the official image of a major version keeps its data; a wrong mount loses it with the container."""
    return "/var/lib/postgresql" if major >= 18 else "/var/lib/postgresql/data"

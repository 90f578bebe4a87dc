"""PostgreSQL of our own: the passwords of its roles, its volume and its container. Knows nothing of MLflow."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import pulumi
import pulumi_random as random

from contract import environment, labels, paths, ports, roles, users
from contract.errors import Argument, ArgumentError

from .. import defaults
from ..engine import Engine
from ..engine.workload import Limits, Mount, Probe, SecretFile, Task, Workload
from ..image import Image
from ..ports import PublishedPort
from .connections import ConnectionBudget
from .server import Login, SslMode
from .tuning import REFUSED, settings_for

ROLE = roles.POSTGRES
PORT = ports.POSTGRES

MAJORS = range(13, 19)
_VERSION = re.compile(r"([0-9]{2})(\.[0-9]+)?")
_OFFICIAL_IMAGE = re.compile(r"postgres:([0-9.]+)-trixie@")
_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,62}")
# PostgreSQL's names have 63 characters, and `_readonly` is appended to this one.
_LONGEST_USER = 54
_SETTING = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*")

# In MiB. With less, the server is killed at its start or under its first load.
_LEAST_MEMORY = 512
_USUAL_MEMORY = 2048

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
class PostgresOptions:
    """What a caller chooses about the server. Errors name these as `postgres.…`."""

    version: str = "17"
    """A major version such as "17", or a release such as "17.6"."""
    image: str = ""
    """The image to build the server's from. Empty means the official one of the version."""
    database: str = "mlflow"
    user: str = "mlflow"
    """The role that MLflow signs in as. The names of the other roles are made of it."""
    port: int | None = None
    """Port on the host. None publishes none."""
    settings: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    """PostgreSQL's settings by name. They are added to those that follow from the limits, or replace them."""
    limits: Limits = field(default_factory=lambda: Limits(memory_mb=_USUAL_MEMORY))

    @property
    def major(self) -> int:
        return int(self.version.partition(".")[0])

    @property
    def base(self) -> str:
        """The image that the server's is built from."""
        return self.image or f"postgres:{self.version}-trixie"

    def published_port(self, address: str) -> PublishedPort | None:
        """The port on an address of the host, if there is one."""
        if self.port is None:
            return None
        return PublishedPort(
            argument="postgres.port", role=ROLE, container=PORT, host=self.port, address=address, usual=PORT
        )

    def errors(self) -> Iterator[ArgumentError]:
        """What is wrong with these options."""
        yield from self._version_errors()
        yield from _name_errors("postgres.database", self.database, PostgresOptions.database)
        yield from _name_errors("postgres.user", self.user, PostgresOptions.user, longest=_LONGEST_USER)
        yield from self.limits.errors("postgres.limits", least_mb=_LEAST_MEMORY, usual_mb=_USUAL_MEMORY)
        yield from _setting_errors(self.settings)

    def _version_errors(self) -> Iterator[ArgumentError]:
        majors = f"{MAJORS[0]} to {MAJORS[-1]}"
        argument, usual = "postgres.version", PostgresOptions.version
        version = _VERSION.fullmatch(self.version)
        if not version:
            rule = f'a version of PostgreSQL is a major from {majors}, or a release of one such as "17.6"'
            yield ArgumentError("postgres-version-invalid", argument, self.version, rule=rule, accepted=usual)
        elif int(version[1]) not in MAJORS:
            rule = f"the known majors are {majors}"
            yield ArgumentError("postgres-version-unknown", argument, self.version, rule=rule, accepted=usual)
        official = _OFFICIAL_IMAGE.match(self.image)
        if official and official[1] != self.version:
            yield ArgumentError(
                "postgres-image-of-another-version",
                "postgres.image",
                self.image,
                rule="a pinned image is of the version that was pinned, and now it is {}",
                mentions=[Argument(argument, self.version)],
            )


def _name_errors(argument: str, value: str, usual: str, *, longest: int = 63) -> Iterator[ArgumentError]:
    if not _IDENTIFIER.fullmatch(value):
        rule = "a name is lower-case letters, digits and _, not a digit first, 63 at most"
        yield ArgumentError("database-name-invalid", argument, value, rule=rule, accepted=usual)
    elif value.startswith("pg_") or value in ("postgres", "template0", "template1"):
        rule = "PostgreSQL reserves this name"
        yield ArgumentError("database-name-reserved", argument, value, rule=rule, accepted=usual)
    elif len(value) > longest:
        rule = f"the names of other roles are made of it, so it may have {longest} characters"
        yield ArgumentError("user-name-too-long", argument, value, rule=rule, accepted=usual)


def _setting_errors(chosen: object) -> Iterator[ArgumentError]:
    if not isinstance(chosen, Mapping):
        rule = "it is names and their values"
        yield ArgumentError("postgres-settings-invalid", "postgres.settings", chosen, rule=rule)
        return
    for name, value in chosen.items():
        if rule := _rule_of_setting(name, value):
            yield ArgumentError("postgres-setting-refused", "postgres.settings", value, rule=rule, item=name)


def _rule_of_setting(name: str, value: object) -> str:
    """The rule that a setting of PostgreSQL breaks, or nothing."""
    if not _SETTING.fullmatch(name):
        return "the name of a setting is lower-case letters, digits and _; an extension's has a point in it"
    if name in REFUSED:
        return REFUSED[name]
    if not isinstance(value, str | int | float):
        return "a value is text, a number, true or false"
    if isinstance(value, str) and ("\n" in value or "\0" in value):
        return "a value is one line of text"
    return ""


@dataclass(frozen=True, kw_only=True)
class PostgresArgs:
    """Arguments of `Postgres`."""

    image: Image
    options: PostgresOptions
    networks: list[pulumi.Input[str]]
    internal_network: pulumi.Input[str]
    """Address range of the internal network, the only one from which the owner may sign in."""
    connections: ConnectionBudget
    credentials_version: int
    address: str = defaults.ADDRESS
    """Address of the host that the port is published on."""
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
        options, version = args.options, args.credentials_version
        # None for version 1: a stack that was created before there were versions keeps its passwords.
        self._keepers = {"version": str(version)} if version > 1 else None
        child = pulumi.ResourceOptions(parent=self)

        self.owner = self._login(f"{name}-owner-password", f"{options.user}_owner")
        self.server = self._login(f"{name}-password", options.user)
        self.readonly = self._login(f"{name}-readonly-password", f"{options.user}_readonly")
        if args.connections.monitor:
            self.monitor = self._login(f"{name}-monitor-password", f"{options.user}_monitor")
        volume = engine.volume(
            f"{name}-data",
            f"{ROLE}-data",
            keep=args.keep_data,
            protect=args.protect_data,
            labels={labels.POSTGRES_MAJOR: str(options.major)},
            opts=child,
        )
        image = engine.build(f"{name}-image", ROLE, args.image, child)
        settings = _settings(args)
        port = options.published_port(args.address)
        limits = options.limits
        if limits.shared_memory_mb is None:
            # Parallel queries share memory in /dev/shm, and fail when the usual 64 MiB are used up.
            limits = replace(limits, shared_memory_mb=limits.memory_mb // 4)
        # Only settings of the user can be wrong, and the check takes seconds.
        checked = self._check(name, image, settings, limits, engine) if options.settings else None
        engine.run(
            f"{name}-server",
            ROLE,
            Workload(
                image=image,
                user=users.POSTGRES,
                command=["postgres", *settings],
                environment={
                    environment.POSTGRES_MAJOR: str(options.major),
                    environment.POSTGRES_VOLUME: engine.object_name(f"{ROLE}-data"),
                    environment.POSTGRES_DATABASE: options.database,
                    environment.POSTGRES_USER: options.user,
                    **PRIVATE_TABLES,
                    environment.INTERNAL_NETWORK: args.internal_network,
                    environment.PUBLISHED_TO: _published_to(port).value,
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
                mounts=[Mount(volume=volume.name, target=data_path(options.major))],
                memory_folders=["/tmp", "/run/postgresql"],
                ports=[port] if port else [],
                networks=args.networks,
                # Over TCP: while a new cluster is initialised, a temporary server answers on the socket.
                probe=Probe(command=["pg_isready", "-h", "127.0.0.1", "-U", options.user, "-d", options.database]),
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
        self.database = options.database
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


def _published_to(port: PublishedPort | None) -> PublishedTo:
    if port is None:
        return PublishedTo.NOBODY
    # On a loopback address every client connects through the host, whatever address it has itself.
    return PublishedTo.SAMENET if port.address == defaults.ADDRESS else PublishedTo.ALL


def _settings(args: PostgresArgs) -> list[str]:
    """The settings as options of the command, always in the same order: another order would change the plan."""
    options, connections = args.options, args.connections.max_connections
    settings = settings_for(options.limits.memory_mb, options.limits.cpus, connections, options.major)
    settings |= {name: setting(value) for name, value in options.settings.items()}
    chosen = {**settings, "max_connections": str(connections)}
    return [part for name, value in sorted(chosen.items()) for part in ("-c", f"{name}={value}")]


def setting(value: str | float) -> str:
    """A value of a setting as PostgreSQL reads it."""
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def data_path(major: int) -> str:
    """The folder of the official image that needs the volume. Elsewhere the data is lost with the container."""
    return "/var/lib/postgresql" if major >= 18 else "/var/lib/postgresql/data"

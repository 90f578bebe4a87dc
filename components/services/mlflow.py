"""MLflow's tracking server: its container and the volume of its artifacts."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pulumi

from contract import environment, paths, ports, roles, users
from contract.errors import ArgumentError

from ..database.connections import MAX_OVERFLOW, POOL_SIZE, rest_connections
from ..database.server import DatabaseConnection
from ..engine import Engine
from ..engine.workload import Limits, Mount, Port, Probe, Workload, in_url
from ..ports import PublishedPort
from .schema import Keys
from .sign_in import SignIn

ROLE = roles.MLFLOW
PORT = ports.MLFLOW

# The Host headers that MLflow 3.17 accepts by default: this machine and private networks, on any port. They are shell
# patterns, where "[[]" is a bracket. MLflow's own patterns for IPv6 lack the brackets that a browser sends.
_LOOPBACK = ["localhost", "127.0.0.1", "[::1]", "0.0.0.0", "localhost:*", "127.0.0.1:*", "[[]::1]:*", "0.0.0.0:*"]
_PRIVATE = ["10.*", "192.168.*", *(f"172.{number}.*" for number in range(16, 32)), "fc00:*", "fd00:*"]
_PRIVATE_IN_BRACKETS = ["[[]fc00:*", "[[]fd00:*"]

VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")

# How many worker processes the server may have: one restarts while others work.
_WORKERS = range(2, 33)
# Without a limit on its processors. The plan must be the same on every machine, so it does not depend on this one's.
_USUAL_WORKERS = 4
# In MiB, under load. Jobs take theirs in addition.
_MEMORY_PER_WORKER = 600
_MEMORY_OF_JOBS = 1100

# In MiB. With less, the server is killed at its start or under its first load.
_LEAST_MEMORY = 2048
_USUAL_MEMORY = 4096


@dataclass(frozen=True, kw_only=True)
class MlflowOptions:
    """What a caller chooses about MLflow. Errors name these as `mlflow.…`."""

    version: str = "3.17.2"
    port: int = 5000
    """Port on the host. Not used behind a gateway, which has its own ports."""
    workers: int | None = None
    """Worker processes of the server. None is as many as its limits allow."""
    jobs: bool = False
    """Whether the server runs background jobs, such as judges that are started from its pages."""
    limits: Limits = field(default_factory=lambda: Limits(memory_mb=_USUAL_MEMORY))

    @property
    def worker_count(self) -> int:
        if self.workers:
            return self.workers
        if not self.limits.cpus:
            return _USUAL_WORKERS
        # Two for each processor: while one waits for the database, the other works.
        by_cpus = math.ceil(2 * self.limits.cpus)
        by_memory = (self.limits.memory_mb - (_MEMORY_OF_JOBS if self.jobs else 0)) // _MEMORY_PER_WORKER
        return min(max(min(by_cpus, by_memory), _WORKERS[0]), _WORKERS[-1])

    def published_port(self, address: str) -> PublishedPort:
        """The port on an address of the host."""
        return PublishedPort(
            argument="mlflow.port",
            role=ROLE,
            container=PORT,
            host=self.port,
            address=address,
            usual=MlflowOptions.port,
        )

    def errors(self) -> Iterator[ArgumentError]:
        """What is wrong with these options."""
        if not VERSION.fullmatch(self.version):
            rule = "a version of MLflow is three numbers such as 3.17.2"
            yield ArgumentError(
                "mlflow-version-invalid", "mlflow.version", self.version, rule=rule, accepted=MlflowOptions.version
            )
        if self.workers is not None and self.workers not in _WORKERS:
            rule = f"the server has {_WORKERS[0]} to {_WORKERS[-1]} workers, so that one can restart while others work"
            yield ArgumentError(
                "workers-out-of-range", "mlflow.workers", self.workers, rule=rule, accepted=_USUAL_WORKERS
            )
        yield from self.limits.errors("mlflow.limits", least_mb=_LEAST_MEMORY, usual_mb=_USUAL_MEMORY)


@dataclass(frozen=True, kw_only=True)
class MlflowArgs:
    """Arguments of `Mlflow`."""

    image: pulumi.Input[str]
    options: MlflowOptions
    networks: list[pulumi.Input[str]]
    database: DatabaseConnection
    """As the server's role."""
    keys: Keys
    address: str | None
    """Address of the host that the port is published on; None publishes none."""
    metrics: Port | None = None
    """Publishes the server's metrics on the host; None switches them off."""
    origins: Sequence[str] = ()
    """The origins of the gateway in front of the server, such as https://mlflow.example.com."""
    allowed_hosts: Sequence[str] = ()
    """More names and addresses that clients may use when there is no gateway."""
    sign_in: SignIn | None = None
    keep_data: bool = True
    protect_data: bool = False
    starts_after: pulumi.Input[Sequence[pulumi.Resource]] = ()
    """What must exist before the server is started or replaced."""

    @property
    def port(self) -> PublishedPort | None:
        return self.options.published_port(self.address) if self.address else None


class Mlflow(pulumi.ComponentResource):
    """A tracking server that also serves artifacts. Ready when an API call that reads the database has succeeded."""

    volume_name: pulumi.Output[str]
    """The volume of the artifacts."""
    server: pulumi.Resource

    def __init__(self, name: str, args: MlflowArgs, engine: Engine, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("mlflow-postgres:index:Mlflow", name, None, opts)
        volume = engine.volume(
            f"{name}-artifacts",
            f"{ROLE}-artifacts",
            keep=args.keep_data,
            protect=args.protect_data,
            labels={},
            opts=pulumi.ResourceOptions(parent=self),
        )
        options, sign_in = args.options, args.sign_in
        self.server = engine.run(
            f"{name}-server",
            ROLE,
            Workload(
                image=args.image,
                user=users.NOBODY,
                command=[
                    *("mlflow", "server", "--host", "0.0.0.0", "--port", str(PORT)),
                    *("--workers", str(options.worker_count)),
                    *("--serve-artifacts", "--artifacts-destination", paths.ARTIFACTS),
                    *("--allowed-hosts", ",".join(_allowed_hosts(args, engine.object_name(ROLE)))),
                    *(["--cors-allowed-origins", ",".join(origins)] if (origins := _origins(args)) else []),
                    *(sign_in.server_options if sign_in else ["--app-name", "postgresql"]),
                ],
                environment={
                    **args.database.environment,
                    **args.keys.environment,
                    # By default MLflow starts seven processes that wait for jobs: 1.1 GB, and a slower start.
                    environment.JOBS: "true" if options.jobs else "false",
                    "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": str(POOL_SIZE),
                    "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW": str(MAX_OVERFLOW),
                    environment.REST_CONNECTIONS: str(rest_connections(sign_in=bool(sign_in))),
                    **(sign_in.server_environment if sign_in else {}),
                    **({environment.METRICS_PORT: str(args.metrics.container)} if args.metrics else {}),
                },
                secret_files=[
                    *args.database.secret_files,
                    *(sign_in.server_files(args.database.uri) if sign_in else []),
                ],
                mounts=[Mount(volume=volume.name, target=paths.ARTIFACTS), args.keys.mount],
                memory_folders=[paths.HOME, *([paths.METRICS] if args.metrics else [])],
                # MLflow stores each artifact here while it is transferred.
                scratch_folders=["/tmp"],
                ports=[port for port in (args.port, args.metrics) if port],
                networks=args.networks,
                probe=Probe(command=["ready"]),
                limits=options.limits,
            ),
            pulumi.ResourceOptions(parent=self, depends_on=args.starts_after),
        )
        self.volume_name = volume.name
        self.register_outputs({"volume_name": self.volume_name})


def _allowed_hosts(args: MlflowArgs, container: str) -> list[str]:
    """The Host headers that the server accepts. Any other gets 403, which stops DNS rebinding from a web page."""
    internal = [ROLE, f"{ROLE}:{PORT}", container, f"{container}:{PORT}"]
    if args.origins:
        external = [origin.partition("://")[2] for origin in args.origins]
        named = dict.fromkeys(each for host in external for each in (host, _without_port(host)))
        return [*named, *internal, f"127.0.0.1:{PORT}"]
    own = [each for host in _own_hosts(args) for each in (host, f"{host.replace('[', '[[]')}:*")]
    return [*_LOOPBACK, *_PRIVATE, *_PRIVATE_IN_BRACKETS, *own, *internal]


def _origins(args: MlflowArgs) -> list[str]:
    """The origins whose pages may call the API, in addition to this machine's: those of MLflow's own pages.

    They are on the published port, or on 80 and 443 when another proxy is in front of it.
    """
    if args.origins:
        proxied = [f"https://{_without_port(each[7:])}" for each in args.origins if each.startswith("http://")]
        return [*args.origins, *proxied]
    direct = [f"http://{host}:{args.port.host}" for host in _own_hosts(args)] if args.port else []
    return [
        *direct,
        *(f"{scheme}://{host}" for host in map(in_url, args.allowed_hosts) for scheme in ("http", "https")),
    ]


def _own_hosts(args: MlflowArgs) -> list[str]:
    """The server's hosts that MLflow does not accept by default."""
    bound = [args.port.address] if args.port and args.port.address not in (*_LOOPBACK, "::", "::1") else []
    return [in_url(each) for each in [*bound, *args.allowed_hosts]]


def _without_port(host: str) -> str:
    return re.sub(r":[0-9]+$", "", host)

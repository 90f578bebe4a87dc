"""MLflow's tracking server: its artifact volume and its container. Its records live in a PostgreSQL it is told of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from contract import environment, paths, ports, roles, users

from .connections import MAX_OVERFLOW, POOL_SIZE
from .database import Database
from .engine import SingleHost
from .schema import Keys
from .sign_in import SignIn
from .workload import Limits, Mount, Port, Probe, Workload, in_url

ROLE = roles.MLFLOW
PORT = ports.MLFLOW

# What MLflow 3.17 answers to by itself: this machine and private networks, on any port. In its own list a bracket that
# opens a set of characters is written "[[]"; its patterns of IPv6 lack the bracket that a browser sends.
_LOOPBACK = ["localhost", "127.0.0.1", "[::1]", "0.0.0.0", "localhost:*", "127.0.0.1:*", "[[]::1]:*", "0.0.0.0:*"]
_PRIVATE = ["10.*", "192.168.*", *(f"172.{number}.*" for number in range(16, 32)), "fc00:*", "fd00:*"]
_PRIVATE_IN_BRACKETS = ["[[]fc00:*", "[[]fd00:*"]


@dataclass(frozen=True, kw_only=True)
class MlflowArgs:
    """What a tracking server needs to be told."""

    image: pulumi.Input[str]
    networks: list[pulumi.Input[str]]
    database: Database
    """As the server's role sees it."""
    keys: Keys
    workers: int
    jobs: bool
    """Whether the server runs jobs of its own, such as judges that are started from its pages."""
    limits: Limits
    port: Port | None = None
    """Where the server is reached from the Docker host; nowhere unless given."""
    metrics: Port | None = None
    """Where its figures are read from the Docker host; it has none unless given."""
    origins: Sequence[str] = ()
    """The addresses, such as https://mlflow.example.com, that a gateway in front of the server answers to."""
    more_hosts: Sequence[str] = ()
    """Names and addresses that the server answers to as well where there is no gateway."""
    sign_in: SignIn | None = None
    keep_data: bool = True
    protect_data: bool = False
    starts_after: pulumi.Input[Sequence[pulumi.Resource]] = ()
    """What must be there before the server is started, or an older one of it is touched."""


class Mlflow(pulumi.ComponentResource):
    """A tracking server that also stores and serves artifacts. Ready when it has answered from the database."""

    volume_name: pulumi.Output[str]
    """Name of the volume that holds the artifacts."""
    server: pulumi.Resource

    def __init__(
        self, name: str, args: MlflowArgs, engine: SingleHost, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("mlflow-postgres:index:Mlflow", name, None, opts)
        volume = engine.volume(
            f"{name}-artifacts",
            f"{ROLE}-artifacts",
            keep=args.keep_data,
            protect=args.protect_data,
            labels={},
            opts=pulumi.ResourceOptions(parent=self),
        )
        sign_in = args.sign_in
        self.server = engine.run(
            f"{name}-server",
            ROLE,
            Workload(
                image=args.image,
                user=users.NOBODY,
                command=[
                    *("mlflow", "server", "--host", "0.0.0.0", "--port", str(PORT)),
                    *("--workers", str(args.workers)),
                    *("--serve-artifacts", "--artifacts-destination", paths.ARTIFACTS),
                    *("--allowed-hosts", ",".join(_allowed_hosts(args, engine.object_name(ROLE)))),
                    *(["--cors-allowed-origins", ",".join(origins)] if (origins := _origins(args)) else []),
                    *(sign_in.server_options if sign_in else []),
                ],
                environment={
                    **args.database.environment,
                    **args.keys.environment,
                    # Unless told, MLflow starts seven processes that wait for jobs: 1.1 GB, and a slower start.
                    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "true" if args.jobs else "false",
                    "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": str(POOL_SIZE),
                    "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW": str(MAX_OVERFLOW),
                    **(sign_in.server_environment if sign_in else {}),
                    **({environment.METRICS_PORT: str(args.metrics.container)} if args.metrics else {}),
                },
                secret_files=[
                    args.database.pass_file,
                    *(sign_in.server_files(args.database.uri) if sign_in else []),
                ],
                mounts=[Mount(volume=volume.name, target=paths.ARTIFACTS), args.keys.mount],
                memory_folders=[paths.HOME, *([paths.METRICS] if args.metrics else [])],
                # An artifact on its way is kept here as a whole.
                scratch_folders=["/tmp"],
                ports=[port for port in (args.port, args.metrics) if port],
                networks=args.networks,
                probe=Probe(command=["ready"]),
                limits=args.limits,
            ),
            pulumi.ResourceOptions(parent=self, depends_on=args.starts_after),
        )
        self.volume_name = volume.name
        self.register_outputs({"volume_name": self.volume_name})


def _allowed_hosts(args: MlflowArgs, container: str) -> list[str]:
    """The Host headers that the server answers to; any other gets 403, which stops DNS rebinding from a web page."""
    inside = [ROLE, f"{ROLE}:{PORT}", container, f"{container}:{PORT}"]
    if args.origins:
        outside = [origin.partition("://")[2] for origin in args.origins]
        named = dict.fromkeys(each for host in outside for each in (host, _without_port(host)))
        return [*named, *inside, f"127.0.0.1:{PORT}"]
    own = [each for host in _own_hosts(args) for each in (host, f"{host.replace('[', '[[]')}:*")]
    return [*_LOOPBACK, *_PRIVATE, *_PRIVATE_IN_BRACKETS, *own, *inside]


def _origins(args: MlflowArgs) -> list[str]:
    """Whose pages may ask, beside those of this machine: our own.

    They are on the port that is opened, or on the usual ones where somebody else's proxy stands before it.
    """
    if args.origins:
        proxied = [f"https://{_without_port(each[7:])}" for each in args.origins if each.startswith("http://")]
        return [*args.origins, *proxied]
    direct = [f"http://{host}:{args.port.host}" for host in _own_hosts(args)] if args.port else []
    return [*direct, *(f"{scheme}://{host}" for host in map(in_url, args.more_hosts) for scheme in ("http", "https"))]


def _own_hosts(args: MlflowArgs) -> list[str]:
    """What the server is reached by, beside what MLflow knows by itself."""
    bound = [args.port.address] if args.port and args.port.address not in (*_LOOPBACK, "::", "::1") else []
    return [in_url(each) for each in [*bound, *args.more_hosts]]


def _without_port(host: str) -> str:
    return re.sub(r":[0-9]+$", "", host)

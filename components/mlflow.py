"""MLflow's tracking server: its artifact volume and its container. Its records live in a PostgreSQL it is told of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import pulumi

from .connections import MAX_OVERFLOW, POOL_SIZE
from .database import Database
from .engine import SingleHost
from .schema import Keys
from .sign_in import SignIn
from .workload import Limits, Mount, Port, Probe, Workload

ROLE = "mlflow"
PORT = 5000

# `nobody`: the artifacts in every volume so far belong to it.
USER = 65534
ARTIFACTS = "/mlartifacts"
_METRICS = "/run/metrics"
_PRIVATE = ["10.*", "192.168.*", *(f"172.{number}.*" for number in range(16, 32)), "[fc00:*", "[fd00:*"]


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
    origin: str | None = None
    """The address, such as https://mlflow.example.com, that a gateway in front of the server answers to."""
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
                user=USER,
                command=[
                    *("mlflow", "server", "--host", "0.0.0.0", "--port", str(PORT)),
                    *("--workers", str(args.workers)),
                    *("--serve-artifacts", "--artifacts-destination", ARTIFACTS),
                    *("--allowed-hosts", ",".join(_allowed_hosts(args))),
                    *(["--cors-allowed-origins", ",".join(_origins(args.origin))] if args.origin else []),
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
                    **({"METRICS_PORT": str(args.metrics.container)} if args.metrics else {}),
                },
                secret_files=[
                    args.database.pass_file,
                    *(sign_in.server_files(args.database.uri) if sign_in else []),
                ],
                mounts=[Mount(volume=volume.name, target=ARTIFACTS), args.keys.mount],
                memory_folders=["/home/mlflow", *([_METRICS] if args.metrics else [])],
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


def _allowed_hosts(args: MlflowArgs) -> list[str]:
    """The Host headers that the server answers to; any other gets 403, which stops DNS rebinding from a web page."""
    inside = [ROLE, f"{ROLE}:{PORT}", f"127.0.0.1:{PORT}"]
    if args.origin:
        where = urlsplit(args.origin)
        inside = [*dict.fromkeys([where.netloc, str(where.hostname)]), *inside]
    return [*_hosts_of(args.port), *inside] if args.port else inside


def _origins(origin: str) -> list[str]:
    """Whose pages may ask: our own. Before a gateway without TLS stands a proxy that has it, on the usual port."""
    where = urlsplit(origin)
    return [origin] if where.scheme == "https" else [origin, f"https://{where.hostname}"]


def _hosts_of(port: Port) -> list[str]:
    address = f"[{port.address}]" if ":" in port.address else port.address
    outside = [f"{name}:{port.host}" for name in dict.fromkeys(["localhost", "127.0.0.1", "[::1]", address])]
    # Whoever opens the port on every address reaches it by one that is not known here: MLflow's own private ranges.
    private = _PRIVATE if port.address in ("0.0.0.0", "::") else []
    return [*outside, *private]

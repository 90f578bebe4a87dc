"""MLflow's tracking server: its artifact volume and its container. Its records live in a PostgreSQL it is told of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from .engine import SingleHost
from .image import Image
from .workload import Mount, Port, Probe, SecretFile, Workload

ROLE = "mlflow"
PORT = 5000

# The user id of `nobody`, as whom images/mlflow runs.
_OWNER = 65534
_PASS_FILE = "/run/secrets/pgpass"
_ARTIFACTS = "/mlartifacts"
_PRIVATE = ["10.*", "192.168.*", *(f"172.{number}.*" for number in range(16, 32)), "[fc00:*", "[fd00:*"]


@dataclass(frozen=True, kw_only=True)
class MlflowArgs:
    """What a tracking server needs to be told."""

    image: Image
    networks: list[pulumi.Input[str]]
    port: Port
    database_host: str
    database_port: int
    database: str
    database_user: str
    database_password: pulumi.Input[str]
    keep_data: bool = True
    starts_after: Sequence[pulumi.Resource] = ()
    """What must be ready before the server starts; its image is built in the meantime."""


class Mlflow(pulumi.ComponentResource):
    """A tracking server that also stores and serves artifacts. Ready when it has answered from the database."""

    volume_name: pulumi.Output[str]
    """Name of the volume that holds the artifacts."""

    def __init__(
        self, name: str, args: MlflowArgs, engine: SingleHost, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("mlflow-postgres:index:Mlflow", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)

        volume = engine.volume(f"{name}-artifacts", f"{ROLE}-artifacts", keep=args.keep_data, labels={}, opts=child)
        image = engine.build(f"{name}-image", ROLE, args.image, child)
        engine.run(
            f"{name}-server",
            ROLE,
            Workload(
                image=image.image_id,
                command=[
                    *("mlflow", "server", "--host", "0.0.0.0", "--port", str(PORT)),
                    *("--serve-artifacts", "--artifacts-destination", _ARTIFACTS),
                    *("--allowed-hosts", ",".join(_allowed_hosts(args.port))),
                ],
                environment={
                    # Without a password: libpq finds it in the pass file.
                    "MLFLOW_BACKEND_STORE_URI": (
                        f"postgresql+psycopg://{args.database_user}"
                        f"@{args.database_host}:{args.database_port}/{args.database}"
                    ),
                    "PGPASSFILE": _PASS_FILE,
                },
                secret_files=[SecretFile(path=_PASS_FILE, content=_pass_file(args), owner=_OWNER)],
                mounts=[Mount(volume=volume.name, target=_ARTIFACTS)],
                ports=[args.port],
                networks=args.networks,
                probe=Probe(command=["ready"]),
            ),
            pulumi.ResourceOptions(parent=self, depends_on=list(args.starts_after)),
        )
        self.volume_name = volume.name
        self.register_outputs({"volume_name": self.volume_name})


def _pass_file(args: MlflowArgs) -> pulumi.Output[str]:
    """The one line of a libpq pass file, host:port:database:user:password."""
    return pulumi.Output.secret(
        pulumi.Output.format(
            "{host}:{port}:{database}:{user}:{password}\n",
            host=args.database_host,
            port=str(args.database_port),
            database=args.database,
            user=args.database_user,
            password=args.database_password,
        )
    )


def _allowed_hosts(port: Port) -> list[str]:
    """The Host headers that the server answers to; any other gets 403, which stops DNS rebinding from a web page."""
    address = f"[{port.address}]" if ":" in port.address else port.address
    outside = [f"{name}:{port.host}" for name in dict.fromkeys(["localhost", "127.0.0.1", "[::1]", address])]
    # Whoever opens the port on every address reaches it by one that is not known here: MLflow's own private ranges.
    private = _PRIVATE if port.address in ("0.0.0.0", "::") else []
    return [*outside, *private, ROLE, f"{ROLE}:{PORT}", f"127.0.0.1:{PORT}"]

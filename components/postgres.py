"""PostgreSQL: its password, its volume and its container. Knows nothing of MLflow."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_random as random

from .engine import SingleHost
from .image import Image
from .workload import Limits, Mount, Port, Probe, SecretFile, Workload

ROLE = "postgres"
PORT = 5432

# The user id of `postgres` in the official image.
_OWNER = 999
_PASSWORD_FILE = "/run/secrets/postgres-password"


@dataclass(frozen=True, kw_only=True)
class PostgresArgs:
    """What a PostgreSQL server needs to be told."""

    image: Image
    major: int
    """Major version of the server in the image. Plain: it decides where the volume is mounted."""
    networks: list[pulumi.Input[str]]
    database: str = "mlflow"
    user: str = "mlflow"
    port: Port | None = None
    """Where the server is reached from the Docker host; nowhere unless given."""
    keep_data: bool = True


class Postgres(pulumi.ComponentResource):
    """A server with one database, and one role that owns it."""

    password: pulumi.Output[str]
    """The role's password, generated. Always secret."""
    volume_name: pulumi.Output[str]
    """Name of the volume that holds the cluster."""

    def __init__(
        self, name: str, args: PostgresArgs, engine: SingleHost, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("mlflow-postgres:index:Postgres", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)

        # Letters and digits only: the value goes into a pass file and a URI, where ':', '\\' and '@' have a meaning.
        password = random.RandomPassword(f"{name}-password", length=32, special=False, opts=child)
        self.password = pulumi.Output.secret(password.result)
        volume = engine.volume(
            f"{name}-data",
            f"{ROLE}-data",
            keep=args.keep_data,
            labels={"postgres-major": str(args.major)},
            opts=child,
        )
        image = engine.build(f"{name}-image", ROLE, args.image, child)
        engine.run(
            f"{name}-server",
            ROLE,
            Workload(
                image=image.image_id,
                environment={
                    "MLFLOW_POSTGRES_MAJOR": str(args.major),
                    "MLFLOW_POSTGRES_VOLUME": engine.object_name(f"{ROLE}-data"),
                    "MLFLOW_POSTGRES_DATABASE": args.database,
                    "MLFLOW_POSTGRES_USER": args.user,
                    "MLFLOW_POSTGRES_PASSWORD_FILE": _PASSWORD_FILE,
                },
                secret_files=[SecretFile(path=_PASSWORD_FILE, content=self.password, owner=_OWNER)],
                mounts=[Mount(volume=volume.name, target=data_path(args.major))],
                ports=[args.port] if args.port else [],
                networks=args.networks,
                # Over TCP: while a cluster is first made, a server without TCP answers on the socket alone.
                probe=Probe(command=["pg_isready", "-h", "127.0.0.1", "-U", args.user, "-d", args.database]),
                # Parallel queries share memory through /dev/shm and fail when its 64 MB are used up.
                limits=Limits(shared_memory_mb=256),
                # A clean stop writes everything out first; a kill would cost a recovery at the next start.
                stop_seconds=120,
            ),
            child,
        )
        self.volume_name = volume.name
        self.register_outputs({"password": self.password, "volume_name": self.volume_name})


def data_path(major: int) -> str:
    """Where the official image of a major version keeps its data; a wrong mount loses it with the container."""
    return "/var/lib/postgresql" if major >= 18 else "/var/lib/postgresql/data"

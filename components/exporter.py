"""The exporter: PostgreSQL's own statistics, as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from contract import paths, roles, users

from .database import Database
from .engine import SingleHost
from .image import Image
from .workload import Limits, Port, Probe, SecretFile, Workload

ROLE = roles.EXPORTER

# In seconds. A database that is gone must be told before Prometheus gives up, which is after ten; the search for its
# name alone would take those.
_PATIENCE = "connect_timeout=2"


@dataclass(frozen=True, kw_only=True)
class ExporterArgs:
    """What the exporter needs to be told."""

    image: Image
    networks: list[pulumi.Input[str]]
    database: Database
    """As the role that watches sees it."""
    port: Port
    credentials_version: int
    starts_after: Sequence[pulumi.Resource] = ()


class Exporter(pulumi.ComponentResource):
    """One postgres_exporter. Ready when it has asked the database and was answered."""

    def __init__(
        self, name: str, args: ExporterArgs, engine: SingleHost, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("mlflow-postgres:index:Exporter", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        database = args.database
        password = SecretFile(name=paths.MONITOR_PASSWORD, content=database.login.password)
        image = engine.build(f"{name}-image", ROLE, args.image, child)
        engine.run(
            f"{name}-server",
            ROLE,
            Workload(
                image=image.image_id,
                user=users.NOBODY,
                environment={
                    # On a network that nobody else is on, and PostgreSQL has no certificate.
                    "DATA_SOURCE_URI": f"{database.host}:{database.port}/{database.name}?sslmode=disable&{_PATIENCE}",
                    "DATA_SOURCE_USER": database.login.user,
                    "DATA_SOURCE_PASS_FILE": password.path,
                },
                secret_files=[password],
                # It reads its password once.
                secrets_version=str(args.credentials_version),
                ports=[args.port],
                networks=args.networks,
                # Every look asks the database for everything that Prometheus asks for.
                probe=Probe(command=["ready"], interval=30, patience=60),
                limits=Limits(memory_mb=256),
            ),
            pulumi.ResourceOptions(parent=self, depends_on=list(args.starts_after)),
        )
        self.register_outputs({})

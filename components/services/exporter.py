"""postgres_exporter: PostgreSQL's statistics for Prometheus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from contract import paths, roles, users

from ..database.server import DatabaseConnection
from ..engine import Engine
from ..engine.workload import Limits, Port, Probe, SecretFile, Workload
from ..image import Image

ROLE = roles.EXPORTER

# In seconds. Prometheus gives up after ten, and the exporter must have reported a missing database by then. The look-up
# of the server's name alone would take longer.
_TIMEOUT = "connect_timeout=2"


@dataclass(frozen=True, kw_only=True)
class ExporterArgs:
    """Arguments of `Exporter`."""

    image: Image
    networks: list[pulumi.Input[str]]
    database: DatabaseConnection
    """As the monitor role."""
    port: Port
    credentials_version: int
    starts_after: Sequence[pulumi.Resource] = ()


class Exporter(pulumi.ComponentResource):
    """The exporter service. Ready when a query has succeeded."""

    def __init__(
        self, name: str, args: ExporterArgs, engine: Engine, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("mlflow-postgres:index:Exporter", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        server, login = args.database.server, args.database.login
        password = SecretFile(name=paths.MONITOR_PASSWORD, content=login.password)
        image = engine.build(f"{name}-image", ROLE, args.image, child)
        engine.run(
            f"{name}-server",
            ROLE,
            Workload(
                image=image,
                user=users.NOBODY,
                environment={
                    "DATA_SOURCE_URI": f"{server.host}:{server.port}/{server.database}"
                    f"?sslmode={server.sslmode.value}&{_TIMEOUT}",
                    "DATA_SOURCE_USER": login.user,
                    "DATA_SOURCE_PASS_FILE": password.path,
                },
                secret_files=[password],
                # The exporter reads its password only at the start.
                secrets_version=str(args.credentials_version),
                ports=[args.port],
                networks=args.networks,
                # Each probe runs the queries of a whole scrape.
                probe=Probe(command=["ready"], interval=30, patience=60),
                limits=Limits(memory_mb=256),
            ),
            pulumi.ResourceOptions(parent=self, depends_on=list(args.starts_after)),
        )
        self.register_outputs({})

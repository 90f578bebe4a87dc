"""The stack outputs, which other stacks rely on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi

from .database.server import DatabaseServer
from .engine.workload import in_url
from .services import mlflow
from .services.sign_in import ADMINISTRATOR, SignIn

if TYPE_CHECKING:
    from .platform import PlatformArgs

Outputs = dict[str, pulumi.Input[str | int]]


def outputs(
    args: PlatformArgs, network: pulumi.Output[str], database: DatabaseServer, sign_in: SignIn | None
) -> Outputs:
    """The outputs by name, without those of the sidecars. An output that does not apply is absent."""
    host, port = database.host, database.port
    if published := args.postgres.published_port(args.unencrypted_address):
        host, port = published.reached_at, published.host
    found: Outputs = {
        "tracking_url": _tracking_url(args),
        "internal_tracking_url": f"http://{mlflow.ROLE}:{mlflow.PORT}",
        "network_name": network,
        "postgres_host": host,
        "postgres_port": port,
        "postgres_database": database.database,
        "postgres_user": database.server.user,
        "postgres_password": database.server.password,
        "postgres_readonly_user": database.readonly.user,
        "postgres_readonly_password": database.readonly.password,
        "backend_store_uri": pulumi.Output.secret(
            pulumi.Output.format(
                "postgresql+psycopg://{user}:{password}@{host}:{port}/{database}",
                user=database.server.user,
                password=database.server.password,
                host=in_url(host),
                port=str(port),
                database=database.database,
            )
        ),
        "mlflow_version": args.mlflow.version,
    }
    if args.metrics:
        found["mlflow_metrics_url"] = args.metrics.mlflow_url
        found["postgres_metrics_url"] = args.metrics.postgres_url
    if sign_in:
        found["admin_username"] = ADMINISTRATOR
        found["admin_password"] = sign_in.password
    return found


def _tracking_url(args: PlatformArgs) -> str:
    if args.endpoint:
        return args.endpoint.origin()
    return args.mlflow.published_port(args.bind_address).url

"""What other stacks may read of a platform: a contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi

from . import mlflow, postgres
from .postgres import Postgres
from .sign_in import ADMINISTRATOR, SignIn
from .workload import in_url

if TYPE_CHECKING:
    from .platform import PlatformArgs

Outputs = dict[str, pulumi.Input[str | int]]


def outputs(args: PlatformArgs, network: pulumi.Output[str], database: Postgres, sign_in: SignIn | None) -> Outputs:
    """The outputs by name. One that does not apply is absent."""
    host = _reached_at(args.side_address) if args.postgres_port else postgres.ROLE
    port = args.postgres_port or postgres.PORT
    found: Outputs = {
        "tracking_url": _tracking_url(args),
        "internal_tracking_url": f"http://{mlflow.ROLE}:{mlflow.PORT}",
        "network_name": network,
        "postgres_host": host,
        "postgres_port": port,
        "postgres_database": args.database,
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
                database=args.database,
            )
        ),
        "mlflow_version": args.mlflow_version,
    }
    if args.adminer_port:
        server = f"pgsql={postgres.ROLE}&username={args.user}&db={args.database}"
        found["adminer_url"] = f"http://{in_url(_reached_at(args.side_address))}:{args.adminer_port}/?{server}"
    if args.metrics:
        found["mlflow_metrics_url"] = args.metrics.mlflow_url
        found["postgres_metrics_url"] = args.metrics.postgres_url
    if sign_in:
        found["admin_username"] = ADMINISTRATOR
        found["admin_password"] = sign_in.password
    return found


def _tracking_url(args: PlatformArgs) -> str:
    if args.front_door:
        return args.front_door.origin
    return f"http://{in_url(_reached_at(args.bind_address))}:{args.mlflow_port}"


def _reached_at(address: str) -> str:
    """How a client on the Docker host reaches what listens on `address`; "every address" is none to connect to."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)

"""Adminer: a web page for the database."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from contract import environment, ports, roles, users

from ..engine import Engine
from ..engine.workload import Limits, Port, Probe, Workload
from ..image import Image

ROLE = roles.ADMINER
PORT = ports.ADMINER


@dataclass(frozen=True, kw_only=True)
class AdminerArgs:
    """Arguments of `Adminer`. It knows no password: the user types it into the page."""

    image: Image
    host: str
    """The database server. Adminer connects to no other."""
    database: str
    user: str
    readonly_user: str
    """The role that the page offers for reading."""
    networks: list[pulumi.Input[str]]
    port: Port


class Adminer(pulumi.ComponentResource):
    """The Adminer service."""

    def __init__(
        self, name: str, args: AdminerArgs, engine: Engine, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("mlflow-postgres:index:Adminer", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        image = engine.build(f"{name}-image", ROLE, args.image, child)
        engine.run(
            f"{name}-server",
            ROLE,
            Workload(
                image=image,
                user=users.WWW_DATA,
                environment={
                    environment.POSTGRES_HOST: args.host,
                    environment.POSTGRES_DATABASE: args.database,
                    environment.POSTGRES_USER: args.user,
                    environment.READONLY_USER: args.readonly_user,
                },
                ports=[args.port],
                networks=args.networks,
                # For PHP's sessions and uploads.
                memory_folders=["/tmp", "/var/lib/php/sessions"],
                probe=Probe(command=["ready"], patience=60),
                limits=Limits(memory_mb=256),
            ),
            child,
        )
        self.register_outputs({})

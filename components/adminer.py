"""Adminer, a page to look inside the database."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from contract import environment, ports, roles, users

from .engine import SingleHost
from .image import Image
from .workload import Limits, Port, Probe, Workload

ROLE = roles.ADMINER
PORT = ports.ADMINER


@dataclass(frozen=True, kw_only=True)
class AdminerArgs:
    """What Adminer needs to be told. It holds no password: whoever opens the page types it."""

    image: Image
    host: str
    """Name of the database's server on the network; it connects to no other."""
    database: str
    user: str
    readonly_user: str
    """The role that the page offers to who only wants to look."""
    networks: list[pulumi.Input[str]]
    port: Port


class Adminer(pulumi.ComponentResource):
    """One Adminer page."""

    def __init__(
        self, name: str, args: AdminerArgs, engine: SingleHost, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("mlflow-postgres:index:Adminer", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        image = engine.build(f"{name}-image", ROLE, args.image, child)
        engine.run(
            f"{name}-server",
            ROLE,
            Workload(
                image=image.image_id,
                user=users.WWW_DATA,
                environment={
                    environment.POSTGRES_HOST: args.host,
                    environment.POSTGRES_DATABASE: args.database,
                    environment.POSTGRES_USER: args.user,
                    environment.READONLY_USER: args.readonly_user,
                },
                ports=[args.port],
                networks=args.networks,
                # PHP keeps who is signed in, and what is uploaded, here.
                memory_folders=["/tmp", "/var/lib/php/sessions"],
                probe=Probe(command=["ready"], patience=60),
                limits=Limits(memory_mb=256),
            ),
            child,
        )
        self.register_outputs({})

"""Adminer: a web page for the database."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pulumi

from contract import environment, roles, users

from ..engine.workload import Limits, Probe, Workload
from ..image import Image
from ..ports import PublishedPort
from .sidecar import Site

_CONTAINER_PORT = 8080


@dataclass(frozen=True, kw_only=True)
class Adminer:
    """The sidecar. It knows no password: the user types it into the page. It connects to no other server."""

    port: int = 8080
    """Port on the host."""

    role = roles.ADMINER

    def image(self, images: Path, debian: str) -> Image:
        return Image(context=images / self.role, base=debian)

    def ports(self, address: str) -> list[PublishedPort]:
        return [
            PublishedPort(
                argument="adminer.port",
                role=self.role,
                container=_CONTAINER_PORT,
                host=self.port,
                address=address,
                usual=Adminer.port,
            )
        ]

    def workload(self, site: Site, image: pulumi.Input[str]) -> Workload:
        return Workload(
            image=image,
            user=users.WWW_DATA,
            environment={
                environment.POSTGRES_HOST: site.database.host,
                environment.POSTGRES_DATABASE: site.database.database,
                environment.POSTGRES_USER: site.database.server.user,
                # The role that the page offers for reading.
                environment.READONLY_USER: site.database.readonly.user,
            },
            networks=[site.tracking, site.database_network],
            # For PHP's sessions and uploads.
            memory_folders=["/tmp", "/var/lib/php/sessions"],
            probe=Probe(command=["ready"], patience=60),
            limits=Limits(memory_mb=256),
        )

    def outputs(self, site: Site) -> dict[str, pulumi.Input[str | int]]:
        (port,) = self.ports(site.address)
        server, user, name = site.database.host, site.database.server.user, site.database.database
        return {"adminer_url": f"{port.url}/?pgsql={server}&username={user}&db={name}"}

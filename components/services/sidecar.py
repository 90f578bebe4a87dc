"""Sidecars: services that a caller adds to a platform. Each is a value that the caller hands over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import pulumi

from ..database.server import DatabaseServer
from ..engine import Engine
from ..engine.workload import Workload
from ..image import Image
from ..ports import PublishedPort


@dataclass(frozen=True, kw_only=True)
class Site:
    """What a sidecar may know of its platform."""

    tracking: pulumi.Input[str]
    """Name of the network of MLflow. A service on it can publish ports and reach the outside."""
    database_network: pulumi.Input[str]
    """Name of the network of the database. With a PostgreSQL of the platform's own it has no way out."""
    database: DatabaseServer
    address: str
    """Address of the host for ports that have neither sign-in nor TLS."""


class Sidecar(Protocol):
    """A service beside MLflow. `Adminer` is one; a program may bring its own."""

    @property
    def role(self) -> str:
        """One word in lower case: its host name, and the end of its container's name."""

    def image(self, images: Path, debian: str) -> Image:
        """The image to build, given the platform's folder of images and its Debian image."""

    def ports(self, address: str) -> Sequence[PublishedPort]:
        """The ports that it publishes on the address of its site, or on loopback."""

    def workload(self, site: Site, image: pulumi.Input[str]) -> Workload:
        """Its service, without ports: the platform publishes those of `ports`, which are checked, and no other."""

    def outputs(self, site: Site) -> Mapping[str, pulumi.Input[str | int]]:
        """The stack outputs that it adds, by name."""


class SidecarService(pulumi.ComponentResource):
    """The service of a sidecar."""

    def __init__(
        self,
        name: str,
        sidecar: Sidecar,
        site: Site,
        image: Image,
        engine: Engine,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(f"mlflow-postgres:index:{sidecar.role.capitalize()}", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        built = engine.build(f"{name}-image", sidecar.role, image, child)
        workload = replace(sidecar.workload(site, built), ports=sidecar.ports(site.address))
        engine.run(f"{name}-server", sidecar.role, workload, child)
        self.register_outputs({})

"""The public endpoint of a platform: the names, ports and certificate that its gateway serves MLflow with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import pulumi

from contract import ports, roles

from .engine.workload import in_url
from .ports import PublishedPort


class Tls(StrEnum):
    """Where the gateway's certificate comes from."""

    OFF = "off"
    """Plain HTTP."""
    INTERNAL = "internal"
    """A certificate authority of the gateway's own, which clients must be made to trust."""
    FILES = "files"
    """A certificate and key that the caller has."""
    ACME = "acme"
    """Let's Encrypt."""


@dataclass(frozen=True, kw_only=True)
class PublicEndpoint:
    """What clients call the platform, and how it proves its name."""

    hostname: str
    tls: Tls = Tls.INTERNAL
    https_port: int = 443
    http_port: int = 80
    """Redirects to HTTPS; without TLS it serves MLflow. 0 publishes no port."""
    acme_email: str = ""
    """Let's Encrypt writes to it before a certificate expires."""
    certificate: str = ""
    """With `Tls.FILES`: the certificate chain in PEM, the server's own first."""
    key: pulumi.Input[str] | None = None
    """With `Tls.FILES`: the certificate's private key in PEM."""

    def published_ports(self, address: str) -> list[PublishedPort]:
        """The gateway's ports on an address of the host. Clients expect them below 1024, which needs no privilege."""
        https = PublishedPort(
            argument="endpoint.https_port",
            role=roles.GATEWAY,
            container=ports.GATEWAY_HTTPS,
            host=self.https_port,
            address=address,
            usual=PublicEndpoint.https_port,
            first=1,
        )
        http = PublishedPort(
            argument="endpoint.http_port",
            role=roles.GATEWAY,
            container=ports.GATEWAY_HTTP,
            host=self.http_port,
            address=address,
            usual=PublicEndpoint.http_port,
            first=1,
        )
        if self.tls == Tls.OFF:
            return [http]
        return [https, http] if self.http_port else [https]

    def origin(self, host: str | None = None) -> str:
        """The URL that clients use, for the hostname or for another name of the endpoint."""
        scheme, port, usual = ("http", self.http_port, 80) if self.tls == Tls.OFF else ("https", self.https_port, 443)
        return f"{scheme}://{in_url(host or self.hostname)}{'' if port == usual else f':{port}'}"

    def origins(self, allowed_hosts: Sequence[str]) -> list[str]:
        """The URLs of all names of the endpoint, its own first."""
        return [self.origin(host) for host in dict.fromkeys([self.hostname, *allowed_hosts])]

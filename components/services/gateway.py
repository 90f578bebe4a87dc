"""The front door: Caddy before MLflow, the only port that a platform with a name opens to the network."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from contract import environment, paths, ports, roles, users

from ..engine import Engine
from ..engine.workload import Limits, Mount, Port, Probe, SecretFile, Workload, in_url
from ..image import Image
from .caddyfile import caddyfile

ROLE = roles.GATEWAY


@dataclass(frozen=True, kw_only=True)
class FrontDoor:
    """What the world calls the platform, and how it is proven."""

    hostname: str
    tls: str
    """One of off, internal (its own certificate authority), files (the two below), acme (such as Let's Encrypt)."""
    https_port: int
    http_port: int
    """Host port that is redirected to HTTPS, or, without TLS, served; 0 opens none."""
    acme_email: str = ""
    certificate: str = ""
    """The chain in PEM, the server's own first."""
    key: pulumi.Input[str] | None = None
    """The certificate's private key in PEM."""
    more_hosts: Sequence[str] = ()
    """Names and addresses that it answers to as well."""

    @property
    def origin(self) -> str:
        """The address that browsers and clients use."""
        return self.origins[0]

    @property
    def origins(self) -> list[str]:
        """All addresses that it answers to, its own first."""
        scheme, port, usual = ("http", self.http_port, 80) if self.tls == "off" else ("https", self.https_port, 443)
        end = "" if port == usual else f":{port}"
        return [f"{scheme}://{in_url(host)}{end}" for host in dict.fromkeys([self.hostname, *self.more_hosts])]

    def ports(self, address: str) -> list[Port]:
        """The ports of the Docker host that it opens on an address."""
        https = (
            [] if self.tls == "off" else [Port(container=ports.GATEWAY_HTTPS, host=self.https_port, address=address)]
        )
        http = [Port(container=ports.GATEWAY_HTTP, host=self.http_port, address=address)] if self.http_port else []
        return [*https, *http]


@dataclass(frozen=True, kw_only=True)
class GatewayArgs:
    """What a gateway needs to be told."""

    image: Image
    network: pulumi.Input[str]
    front_door: FrontDoor
    address: str
    """Address of the Docker host that its ports are opened on."""
    upstream: str
    """Host and port of the server behind it."""
    keep_data: bool = True
    starts_after: Sequence[pulumi.Resource] = ()


class Gateway(pulumi.ComponentResource):
    """One Caddy. Ready when a request through it has been answered by the server behind it."""

    volume_name: pulumi.Output[str]
    """Name of the volume that holds its certificates and, with tls internal, its certificate authority."""

    def __init__(
        self, name: str, args: GatewayArgs, engine: Engine, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("mlflow-postgres:index:Gateway", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        door = args.front_door
        files = _files(args)
        volume = engine.volume(f"{name}-data", f"{ROLE}-data", keep=args.keep_data, labels={}, opts=child)
        image = engine.build(f"{name}-image", ROLE, args.image, child)
        engine.run(
            f"{name}-server",
            ROLE,
            Workload(
                image=image,
                user=users.NOBODY,
                environment={environment.GATEWAY_HOSTNAME: door.hostname, environment.GATEWAY_TLS: door.tls},
                secret_files=files,
                secrets_version=_fingerprint(args),
                mounts=[Mount(volume=volume.name, target="/data")],
                memory_folders=["/tmp"],
                ports=door.ports(args.address),
                networks=[args.network],
                probe=Probe(command=["ready"]),
                limits=Limits(memory_mb=256),
            ),
            pulumi.ResourceOptions(parent=self, depends_on=list(args.starts_after)),
        )
        self.volume_name = volume.name
        self.register_outputs({"volume_name": self.volume_name})


def _configuration(args: GatewayArgs) -> str:
    door = args.front_door
    return caddyfile(
        hostname=door.hostname,
        tls=door.tls,
        https_port=door.https_port,
        http_port=door.http_port,
        upstream=args.upstream,
        acme_email=door.acme_email,
        more_hosts=door.more_hosts,
    )


def _files(args: GatewayArgs) -> list[SecretFile]:
    door = args.front_door
    files = [SecretFile(name=paths.CADDYFILE, content=_configuration(args))]
    if door.tls == "files" and door.key is not None:
        files.append(SecretFile(name=paths.CERTIFICATE, content=door.certificate))
        files.append(SecretFile(name=paths.CERTIFICATE_KEY, content=door.key))
    return files


def _fingerprint(args: GatewayArgs) -> str:
    """Changes with what Caddy reads at its start. A key never comes without its certificate."""
    return hashlib.sha256(f"{_configuration(args)}{args.front_door.certificate}".encode()).hexdigest()[:16]

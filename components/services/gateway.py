"""The gateway: Caddy in front of MLflow. A platform with a hostname publishes its ports instead of MLflow's."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from contract import environment, paths, roles, users

from ..endpoint import PublicEndpoint, Tls
from ..engine import Engine
from ..engine.workload import Limits, Mount, Probe, SecretFile, Workload
from ..image import Image
from .caddyfile import caddyfile

ROLE = roles.GATEWAY


@dataclass(frozen=True, kw_only=True)
class GatewayArgs:
    """Arguments of `Gateway`."""

    image: Image
    network: pulumi.Input[str]
    endpoint: PublicEndpoint
    allowed_hosts: Sequence[str] = ()
    """More names and addresses that clients may use."""
    address: str
    """Address of the host that its ports are published on."""
    upstream: str
    """Host and port of the MLflow server."""
    keep_data: bool = True
    starts_after: Sequence[pulumi.Resource] = ()


class Gateway(pulumi.ComponentResource):
    """The gateway service. Ready when MLflow has answered a request through it."""

    volume_name: pulumi.Output[str]
    """The volume of its certificates, and with `Tls.INTERNAL` of its certificate authority."""

    def __init__(
        self, name: str, args: GatewayArgs, engine: Engine, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("mlflow-postgres:index:Gateway", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        endpoint = args.endpoint
        files = _files(args)
        volume = engine.volume(f"{name}-data", f"{ROLE}-data", keep=args.keep_data, labels={}, opts=child)
        image = engine.build(f"{name}-image", ROLE, args.image, child)
        engine.run(
            f"{name}-server",
            ROLE,
            Workload(
                image=image,
                user=users.NOBODY,
                environment={
                    environment.GATEWAY_HOSTNAME: endpoint.hostname,
                    environment.GATEWAY_TLS: endpoint.tls.value,
                },
                secret_files=files,
                secrets_version=_fingerprint(args),
                mounts=[Mount(volume=volume.name, target="/data")],
                memory_folders=["/tmp"],
                ports=endpoint.published_ports(args.address),
                networks=[args.network],
                probe=Probe(command=["ready"]),
                limits=Limits(memory_mb=256),
            ),
            pulumi.ResourceOptions(parent=self, depends_on=list(args.starts_after)),
        )
        self.volume_name = volume.name
        self.register_outputs({"volume_name": self.volume_name})


def _configuration(args: GatewayArgs) -> str:
    endpoint = args.endpoint
    return caddyfile(
        hostname=endpoint.hostname,
        tls=endpoint.tls,
        https_port=endpoint.https_port,
        http_port=endpoint.http_port,
        upstream=args.upstream,
        acme_email=endpoint.acme_email,
        allowed_hosts=args.allowed_hosts,
    )


def _files(args: GatewayArgs) -> list[SecretFile]:
    endpoint = args.endpoint
    files = [SecretFile(name=paths.CADDYFILE, content=_configuration(args))]
    if endpoint.tls == Tls.FILES and endpoint.key is not None:
        files.append(SecretFile(name=paths.CERTIFICATE, content=endpoint.certificate))
        files.append(SecretFile(name=paths.CERTIFICATE_KEY, content=endpoint.key))
    return files


def _fingerprint(args: GatewayArgs) -> str:
    """Changes with what Caddy reads at its start. A new key always comes with a new certificate."""
    return hashlib.sha256(f"{_configuration(args)}{args.endpoint.certificate}".encode()).hexdigest()[:16]

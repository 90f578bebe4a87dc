"""The engine room: turns workloads, networks, volumes and images into Docker resources on a single host.

Only this file creates `docker.Container`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict

import pulumi
import pulumi_docker as docker

from .image import Image
from .workload import Port, Probe, SecretFile, Workload

LABEL = "mlflow-postgres"
"""Every object carries labels of this prefix, so that what no state knows can be found and told from the rest."""


class SingleHost:
    """One Docker host. Every object's name there is `prefix`-role, so a second copy of a service cannot be made.

    `deployment` tells one life of the stack from another: what carries it and is not in the state is an orphan.
    """

    def __init__(self, prefix: str, deployment: pulumi.Input[str]) -> None:
        self.prefix = prefix
        self._deployment = deployment

    def object_name(self, role: str) -> str:
        """The name on the engine of what plays a role in this stack."""
        return f"{self.prefix}-{role}"

    def network(self, name: str, role: str, *, internal: bool, opts: pulumi.ResourceOptions) -> docker.Network:
        """A bridge network. An internal one has no way out and no ports on the host."""
        return docker.Network(
            name,
            name=self.object_name(role),
            driver="bridge",
            internal=internal,
            labels=[docker.NetworkLabelArgs(label=label, value=value) for label, value in self._labels(role).items()],
            opts=opts,
        )

    def volume(
        self, name: str, role: str, *, keep: bool, labels: Mapping[str, str], opts: pulumi.ResourceOptions
    ) -> docker.Volume:
        """A named volume. A kept one stays on the host when the stack goes, and the next stack of the name opens it."""
        return docker.Volume(
            name,
            name=self.object_name(role),
            labels=[
                docker.VolumeLabelArgs(label=f"{LABEL}.{key}", value=value)
                for key, value in {"stack": self.prefix, "role": role, **labels}.items()
            ],
            # Labels of a volume cannot be changed in place: without this, a new label would replace the data.
            opts=pulumi.ResourceOptions.merge(
                opts, pulumi.ResourceOptions(retain_on_delete=keep or None, ignore_changes=["labels", "driver"])
            ),
        )

    def build(self, name: str, role: str, image: Image, opts: pulumi.ResourceOptions) -> docker.RemoteImage:
        """Build an image on the host. Its tag is made of its content, so a change builds and nothing else does."""
        reference = f"{self.prefix.lower()}/{role}:{image.digest}"
        return docker.RemoteImage(
            name,
            name=reference,
            build=docker.RemoteImageBuildArgs(
                context=image.context.as_posix(),
                tags=[reference],
                build_args=image.build_arguments,
                # Packages are fetched while building, and a container's own network may have no name server.
                network_mode="host",
            ),
            opts=opts,
        )

    def run(self, name: str, role: str, workload: Workload, opts: pulumi.ResourceOptions) -> docker.Container:
        """Run a workload and wait until its probe succeeds."""
        labels = {**self._labels(role), f"{LABEL}.probe": _fingerprint(workload.probe)}
        return docker.Container(
            name,
            name=self.object_name(role),
            hostname=role,
            image=workload.image,
            command=list(workload.command) or None,
            envs=[f"{key}={value}" for key, value in sorted(workload.environment.items())],
            uploads=[_upload(secret) for secret in workload.secret_files] or None,
            mounts=[
                docker.ContainerMountArgs(type="volume", source=mount.volume, target=mount.target)
                for mount in workload.mounts
            ],
            ports=[_port(port) for port in workload.ports],
            # Left out, the engine answers with its own default and the next plan wants a replacement.
            network_mode="bridge",
            networks_advanced=[
                docker.ContainerNetworksAdvancedArgs(name=network, aliases=[role]) for network in workload.networks
            ],
            healthcheck=_healthcheck(workload.probe),
            wait=True,
            wait_timeout=workload.probe.patience,
            shm_size=workload.limits.shared_memory_mb,
            init=True,
            # Without an end the log, which every request adds to, fills the disk.
            log_driver="json-file",
            log_opts={"max-size": "10m", "max-file": "3"},
            restart=workload.restart,
            stop_timeout=workload.stop_seconds,
            destroy_grace_seconds=workload.stop_seconds,
            labels=[docker.ContainerLabelArgs(label=label, value=value) for label, value in labels.items()],
            opts=opts,
        )

    def _labels(self, role: str) -> dict[str, pulumi.Input[str]]:
        return {f"{LABEL}.stack": self.prefix, f"{LABEL}.role": role, f"{LABEL}.deployment": self._deployment}


def _upload(secret: SecretFile) -> docker.ContainerUploadArgs:
    return docker.ContainerUploadArgs(
        file=secret.path,
        content=pulumi.Output.secret(secret.content),
        permissions="0400",
        owner=str(secret.owner),
        group=str(secret.owner),
    )


def _port(port: Port) -> docker.ContainerPortArgs:
    return docker.ContainerPortArgs(internal=port.container, external=port.host, ip=port.address, protocol="tcp")


def _healthcheck(probe: Probe) -> docker.ContainerHealthcheckArgs:
    return docker.ContainerHealthcheckArgs(
        tests=["CMD", *probe.command],
        interval=_duration(probe.interval),
        timeout=_duration(probe.timeout),
        start_period=_duration(probe.grace),
        retries=3,
    )


def _duration(seconds: int) -> str:
    """Seconds as the engine says them back; "300s" would come back as "5m0s" and look like a change."""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def _fingerprint(probe: Probe) -> str:
    """The provider may ignore a changed health check; as a label, the change replaces the container."""
    return hashlib.sha256(json.dumps(asdict(probe), sort_keys=True).encode()).hexdigest()[:16]

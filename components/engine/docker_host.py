"""A single Docker host. Only this file creates Docker resources."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_docker as docker

from contract.labels import COURIER, DEPLOYMENT, KIND, PROBE, ROLE, SECRETS_VERSION, SERVICE, STACK, TASK
from contract.names import object_name
from contract.paths import SECRETS
from contract.roles import courier_of

from ..image import Image
from . import probing
from .api import Network, Volume
from .workload import Mount, Port, Probe, SecretFile, Task, Workload

# In MiB. What Docker gives to a container that asks for nothing.
_USUAL_SHARED_MEMORY = 64


class DockerHost:
    """One Docker host. Implements `api.Engine`; a factory of the kind `api.EngineFactory`."""

    def __init__(self, prefix: str, deployment: pulumi.Input[str]) -> None:
        self._prefix = prefix
        self._deployment = deployment

    def object_name(self, role: str) -> str:
        return object_name(self._prefix, role)

    def network(
        self, name: str, role: str, *, internal: bool, opts: pulumi.ResourceOptions, outbound: bool = True
    ) -> Network:
        network = docker.Network(
            name,
            name=self.object_name(role),
            driver="bridge",
            internal=internal,
            # Packets that leave with the container's own address get no answer.
            options=None if outbound else {"com.docker.network.bridge.enable_ip_masquerade": "false"},
            labels=[docker.NetworkLabelArgs(label=label, value=value) for label, value in self._labels(role).items()],
            opts=opts,
        )
        return Network(name=network.name, subnet=network.ipam_configs.apply(lambda ranges: str(ranges[0].subnet)))

    def volume(
        self,
        name: str,
        role: str,
        *,
        keep: bool,
        labels: Mapping[str, str],
        opts: pulumi.ResourceOptions,
        protect: bool = False,
    ) -> Volume:
        volume = self._volume(name, role, keep=keep, labels=labels, opts=opts, protect=protect)
        return Volume(name=volume.name)

    def _volume(
        self,
        name: str,
        role: str,
        *,
        keep: bool,
        labels: Mapping[str, str],
        opts: pulumi.ResourceOptions,
        protect: bool,
    ) -> docker.Volume:
        return docker.Volume(
            name,
            name=self.object_name(role),
            labels=[
                docker.VolumeLabelArgs(label=label, value=value)
                for label, value in {STACK: self._prefix, ROLE: role, **labels}.items()
            ],
            # A change of any of these replaces the volume, and the data with it: a new label would, and so would a
            # volume that was created beforehand on another disk.
            opts=pulumi.ResourceOptions.merge(
                opts,
                pulumi.ResourceOptions(
                    retain_on_delete=keep or None, protect=protect, ignore_changes=["labels", "driver", "driverOpts"]
                ),
            ),
        )

    def build(self, name: str, role: str, image: Image, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
        # The tag is a digest of the content, so that only a change builds.
        reference = f"{self._prefix.lower()}/{role}:{image.digest}"
        built = docker.RemoteImage(
            name,
            name=reference,
            build=docker.RemoteImageBuildArgs(
                context=image.context.as_posix(),
                dockerfile=image.dockerfile.as_posix() if image.dockerfile else None,
                tags=[reference],
                build_args=image.build_arguments,
                # The build downloads packages, and a container's own network may have no name server.
                network_mode="host",
            ),
            opts=opts,
        )
        return built.image_id

    def run(self, name: str, role: str, workload: Workload, opts: pulumi.ResourceOptions) -> pulumi.Resource:
        return self._container(
            name,
            role,
            workload,
            opts,
            labels={KIND: SERVICE, PROBE: probing.fingerprint(workload.probe)},
            ports=[_port(port) for port in workload.ports],
            healthcheck=_healthcheck(workload.probe),
            wait=True,
            wait_timeout=workload.probe.patience,
            restart=workload.restart,
            stop_signal=workload.stop_signal,
            stop_timeout=workload.stop_seconds,
            destroy_grace_seconds=workload.stop_seconds,
        )

    def run_once(
        self, name: str, role: str, task: Task, opts: pulumi.ResourceOptions
    ) -> pulumi.Output[pulumi.Resource]:
        container = self._container(
            name,
            role,
            task,
            opts,
            # The provider's usual limit is 20 minutes.
            timeouts=pulumi.CustomTimeouts(create="24h"),
            labels={KIND: TASK},
            attach=True,
            logs=True,
            must_run=False,
            restart="no",
        )

        def succeeded(result: Sequence[Any]) -> pulumi.Resource:
            exit_code, logs = result
            if exit_code:
                raise pulumi.RunError(_failure(role, exit_code, logs or ""))
            return container

        return pulumi.Output.all(container.exit_code, container.container_logs).apply(succeeded)

    def _container(
        self,
        name: str,
        role: str,
        task: Task,
        opts: pulumi.ResourceOptions,
        *,
        labels: dict[str, str],
        timeouts: pulumi.CustomTimeouts | None = None,
        **arguments: Any,
    ) -> docker.Container:
        mounts = list(task.mounts)
        if task.secret_files:
            # Without the task's dependencies: a container that runs already reads its new secrets at once.
            volume, courier = self._deliver(name, role, task, pulumi.ResourceOptions(parent=opts.parent))
            mounts.append(Mount(volume=volume.name, target=SECRETS, read_only=True))
            opts = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[courier]))
            labels = {**labels, SECRETS_VERSION: task.secrets_version}
        return docker.Container(
            name,
            name=self.object_name(role),
            hostname=role,
            image=task.image,
            entrypoints=list(task.entrypoint) or None,
            command=list(task.command) or None,
            user=f"{task.user}:{task.user}",
            envs=[pulumi.Output.concat(key, "=", value) for key, value in sorted(task.environment.items())],
            mounts=[_mount(mount) for mount in mounts],
            tmpfs=_memory_folders(task) or None,
            # Without a source these are anonymous volumes, which are deleted with the container.
            volumes=[
                docker.ContainerVolumeArgs(container_path=folder, read_only=False) for folder in task.scratch_folders
            ],
            # Left out, Docker reports its own default and the next plan replaces the container.
            network_mode="bridge" if task.networks else "none",
            networks_advanced=[
                docker.ContainerNetworksAdvancedArgs(name=network, aliases=[role]) for network in task.networks
            ],
            read_only=True,
            capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"]),
            security_opts=["no-new-privileges:true"],
            memory=task.limits.memory_mb,
            # Left out, Docker adds as much swap, and the next plan changes it.
            memory_swap=task.limits.memory_mb,
            cpus=str(task.limits.cpus) if task.limits.cpus else None,
            shm_size=task.limits.shared_memory_mb or _USUAL_SHARED_MEMORY,
            ulimits=[
                docker.ContainerUlimitArgs(name="nproc", soft=task.limits.processes, hard=task.limits.processes),
            ],
            init=True,
            # Every request adds to the log: without a limit it fills the disk.
            log_driver="json-file",
            log_opts={"max-size": "10m", "max-file": "3"},
            labels=self._container_labels(role, labels),
            opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(custom_timeouts=timeouts)),
            **arguments,
        )

    def _deliver(
        self, name: str, role: str, task: Task, opts: pulumi.ResourceOptions
    ) -> tuple[docker.Volume, docker.Container]:
        """Put the secret files into a volume, with a container that never starts.

        Docker refuses to copy files into a container with a read-only root. In a container with a user it changes the
        files' owner. So this container has neither, and its image must not name a user.
        """
        # Deleted before its successor exists, the volume would take its reader down, long before the reader's own turn.
        last = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(delete_before_replace=False))
        volume = self._volume(
            f"{name}-secrets", _secrets_role(role, task), keep=False, labels={}, opts=last, protect=False
        )
        courier = docker.Container(
            f"{name}-courier",
            name=self.object_name(courier_of(role)),
            image=task.image,
            command=["true"],
            uploads=[_upload(secret, task.user) for secret in task.secret_files],
            mounts=[_mount(Mount(volume=volume.name, target=SECRETS))],
            network_mode="none",
            start=False,
            must_run=False,
            log_driver="json-file",
            labels=self._container_labels(courier_of(role), {KIND: COURIER}),
            opts=opts,
        )
        return volume, courier

    def _container_labels(self, role: str, more: Mapping[str, str]) -> list[docker.ContainerLabelArgs]:
        return [
            docker.ContainerLabelArgs(label=label, value=value)
            for label, value in {**self._labels(role), **more}.items()
        ]

    def _labels(self, role: str) -> dict[str, pulumi.Input[str]]:
        return {STACK: self._prefix, ROLE: role, DEPLOYMENT: self._deployment}


def _secrets_role(role: str, task: Task) -> str:
    """The role of a volume that holds this set of files.

    Another set of files gets another volume, and the former one is deleted: a secret that was switched off is gone.
    """
    names = ",".join(sorted(secret.name for secret in task.secret_files))
    return f"{role}-secrets-{hashlib.sha256(names.encode()).hexdigest()[:8]}"


def _upload(secret: SecretFile, owner: int) -> docker.ContainerUploadArgs:
    return docker.ContainerUploadArgs(
        file=secret.path,
        content=pulumi.Output.secret(secret.content),
        permissions="0400",
        owner=str(owner),
        group=str(owner),
    )


def _mount(mount: Mount) -> docker.ContainerMountArgs:
    return docker.ContainerMountArgs(
        type="volume", source=mount.volume, target=mount.target, read_only=mount.read_only or None
    )


def _memory_folders(task: Task) -> dict[str, str]:
    return {folder: f"size=64m,mode=0700,uid={task.user},gid={task.user}" for folder in task.memory_folders}


def _failure(role: str, exit_code: int, logs: str) -> str:
    lines = [line for line in logs.splitlines() if line.strip()]
    return f"{role} ended with exit code {exit_code}: {lines[-1] if lines else 'it printed nothing'}"


def _port(port: Port) -> docker.ContainerPortArgs:
    return docker.ContainerPortArgs(internal=port.container, external=port.host, ip=port.address, protocol="tcp")


def _healthcheck(probe: Probe) -> docker.ContainerHealthcheckArgs:
    return docker.ContainerHealthcheckArgs(
        tests=["CMD", *probing.command(probe)],
        interval=_duration(probing.INTERVAL),
        timeout=_duration(probing.timeout(probe)),
        start_period=_duration(probe.grace),
        retries=3,
    )


def _duration(seconds: int) -> str:
    """Seconds as Docker reports them. It turns "300s" into "5m0s", which the next plan would take for a change."""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"

"""The engine room: turns workloads, networks, volumes and images into Docker resources on a single host.

Only this file creates `docker.Container`.
"""

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

from . import probing
from .image import Image
from .workload import Mount, Port, Probe, SecretFile, Task, Workload


class SingleHost:
    """One Docker host. Every object's name there is `prefix`-role, so a second copy of a service cannot be made.

    `deployment` tells one life of the stack from another: what carries it and is not in the state is an orphan.
    """

    def __init__(self, prefix: str, deployment: pulumi.Input[str]) -> None:
        self.prefix = prefix
        self._deployment = deployment

    def object_name(self, role: str) -> str:
        """The name on the engine of what plays a role in this stack."""
        return object_name(self.prefix, role)

    def network(
        self, name: str, role: str, *, internal: bool, opts: pulumi.ResourceOptions, way_out: bool = True
    ) -> docker.Network:
        """A bridge network. An internal one has no way out and no ports on the host; without `way_out`, only ports."""
        return docker.Network(
            name,
            name=self.object_name(role),
            driver="bridge",
            internal=internal,
            # What leaves without the host's address is answered by nobody.
            options=None if way_out else {"com.docker.network.bridge.enable_ip_masquerade": "false"},
            labels=[docker.NetworkLabelArgs(label=label, value=value) for label, value in self._labels(role).items()],
            opts=opts,
        )

    def volume(
        self,
        name: str,
        role: str,
        *,
        keep: bool,
        labels: Mapping[str, str],
        opts: pulumi.ResourceOptions,
        protect: bool = False,
    ) -> docker.Volume:
        """A named volume. A kept one stays on the host when the stack goes, and the next stack of the name opens it.

        A protected one, and the stack with it, cannot be destroyed at all.
        """
        return docker.Volume(
            name,
            name=self.object_name(role),
            labels=[
                docker.VolumeLabelArgs(label=label, value=value)
                for label, value in {STACK: self.prefix, ROLE: role, **labels}.items()
            ],
            # None of these can be changed in place: without this, a new label, or a volume made beforehand on a
            # disk of its own, would replace the data.
            opts=pulumi.ResourceOptions.merge(
                opts,
                pulumi.ResourceOptions(
                    retain_on_delete=keep or None, protect=protect, ignore_changes=["labels", "driver", "driverOpts"]
                ),
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
        """Run a task to its end, whenever it or its secrets change.

        Returns what those must depend on that may only be touched when the task has succeeded. One that fails ends
        the program with its last words, as `pulumi.RunError`.
        """
        container = self._container(
            name,
            role,
            task,
            opts,
            # The provider would cut a task short at its usual limit of 20 minutes.
            timeouts=pulumi.CustomTimeouts(create="24h"),
            labels={KIND: TASK},
            attach=True,
            logs=True,
            must_run=False,
            restart="no",
        )

        def succeeded(end: Sequence[Any]) -> pulumi.Resource:
            exit_code, said = end
            if exit_code:
                raise pulumi.RunError(_last_words(role, exit_code, said or ""))
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
        **how: Any,
    ) -> docker.Container:
        mounts = list(task.mounts)
        if task.secret_files:
            # They wait for nothing: whoever runs already reads them while what is waited for takes its time.
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
            # Without a source: volumes without a name, which go with the container.
            volumes=[
                docker.ContainerVolumeArgs(container_path=folder, read_only=False) for folder in task.scratch_folders
            ],
            # Left out, the engine answers with its own default and the next plan wants a replacement.
            network_mode="bridge" if task.networks else "none",
            networks_advanced=[
                docker.ContainerNetworksAdvancedArgs(name=network, aliases=[role]) for network in task.networks
            ],
            read_only=True,
            capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"]),
            security_opts=["no-new-privileges:true"],
            memory=task.limits.memory_mb,
            # Left out, the engine gives as much swap again and the next plan wants to take it away.
            memory_swap=task.limits.memory_mb,
            cpus=str(task.limits.cpus) if task.limits.cpus else None,
            shm_size=task.limits.shared_memory_mb,
            ulimits=[
                docker.ContainerUlimitArgs(name="nproc", soft=task.limits.processes, hard=task.limits.processes),
            ],
            init=True,
            # Without an end the log, which every request adds to, fills the disk.
            log_driver="json-file",
            log_opts={"max-size": "10m", "max-file": "3"},
            labels=self._container_labels(role, labels),
            opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(custom_timeouts=timeouts)),
            **how,
        )

    def _deliver(
        self, name: str, role: str, task: Task, opts: pulumi.ResourceOptions
    ) -> tuple[docker.Volume, docker.Container]:
        """Put the secret files into a volume, by a container that never starts.

        The engine writes into no container with a read-only root, and with a user it gives every file to that name as
        the host knows it. So the container that files are handed to has neither; nor may its image name a user.
        """
        # Removed before its successor is there, it would take its reader along: long before the reader's own turn.
        last = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(delete_before_replace=False))
        volume = self.volume(f"{name}-secrets", _secrets_role(role, task), keep=False, labels={}, opts=last)
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
        return {STACK: self.prefix, ROLE: role, DEPLOYMENT: self._deployment}


def _secrets_role(role: str, task: Task) -> str:
    """A volume holds one set of files: of another set, such as one without a key that was switched off, it is made anew
    and the former one is removed, with what nobody reads any more."""
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


def _last_words(role: str, exit_code: int, said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    return f"{role} ended with exit code {exit_code}: {lines[-1] if lines else 'it said nothing'}"


def _port(port: Port) -> docker.ContainerPortArgs:
    return docker.ContainerPortArgs(internal=port.container, external=port.host, ip=port.address, protocol="tcp")


def _healthcheck(probe: Probe) -> docker.ContainerHealthcheckArgs:
    return docker.ContainerHealthcheckArgs(
        tests=["CMD", *probing.look(probe)],
        interval=_duration(probing.INTERVAL),
        timeout=_duration(probing.timeout(probe)),
        start_period=_duration(probe.grace),
        retries=3,
    )


def _duration(seconds: int) -> str:
    """Seconds as the engine says them back; "300s" would come back as "5m0s" and look like a change."""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"

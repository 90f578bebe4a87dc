"""What a service is, whichever engine runs it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pulumi

from contract.errors import ArgumentError
from contract.paths import SECRETS


@dataclass(frozen=True, kw_only=True)
class SecretFile:
    """A secret that the task reads from a file."""

    name: str
    """The file's name in the folder `SECRETS`."""
    content: pulumi.Input[str]

    @property
    def path(self) -> str:
        return f"{SECRETS}/{self.name}"


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A volume, and the folder of the container that it is mounted on."""

    volume: pulumi.Input[str]
    target: str
    read_only: bool = False


@dataclass(frozen=True, kw_only=True)
class Port:
    """A TCP port of the service, published on an address of the host."""

    container: int
    host: int
    address: str

    @property
    def reached_at(self) -> str:
        """The address for clients on the host. Nobody can connect to "every address"."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.address, self.address)

    @property
    def url(self) -> str:
        """For clients on the host, of a service that speaks HTTP."""
        return f"http://{in_url(self.reached_at)}:{self.host}"


def in_url(host: str) -> str:
    """A host name or an IP address as a URL has it."""
    return f"[{host}]" if ":" in host else host


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A command that succeeds when the service can be used. All times are in seconds."""

    command: Sequence[str]
    interval: int = 5
    """Between two probes of a service that is ready, at least 1. Until then the service is probed more often."""
    timeout: int = 10
    patience: int = 180
    """The deployment fails when the service is not ready after this time."""
    grace: int = 600
    """Until this long after its start, a failing service counts as starting. A recovery of PostgreSQL takes minutes."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a task may use. Without limits, one task can bring the host down."""

    memory_mb: int
    """Memory in MiB. There is no swap in addition."""
    cpus: float = 0
    """Processors; 0 means all of them."""
    processes: int = 4096
    """Processes and threads of the task's user id on the whole host. The provider cannot set the engine's own limit
    per container."""
    shared_memory_mb: int | None = None
    """Size of /dev/shm in MiB; None leaves it to the service, or else to the engine's usual 64."""

    def errors(self, argument: str, *, least_mb: int, usual_mb: int) -> Iterator[ArgumentError]:
        """What is wrong with the limits that this argument holds. With less memory the service would be killed."""
        if self.memory_mb < least_mb:
            rule = f"it is a number of MiB, {least_mb} at least"
            yield ArgumentError(
                "memory-too-small", f"{argument}.memory_mb", self.memory_mb, rule=rule, accepted=usual_mb
            )
        if not 0 <= self.cpus < math.inf:
            rule = "it is a number of processors, or 0 for all of them"
            yield ArgumentError("processors-invalid", f"{argument}.cpus", self.cpus, rule=rule, accepted=0)


@dataclass(frozen=True, kw_only=True)
class Task:
    """A process that runs once, to its end: its image, its input and its limits.

    Its root filesystem is read-only. It has no capabilities and cannot gain privileges.
    """

    image: pulumi.Input[str]
    user: int
    """User id and group id of the process."""
    limits: Limits
    entrypoint: Sequence[str] = ()
    """Replaces the image's own."""
    command: Sequence[pulumi.Input[str]] = ()
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """Never a secret: everyone who may inspect the container reads it."""
    secret_files: Sequence[SecretFile] = ()
    """Each has mode 0400 and is owned by the task's user."""
    secrets_version: str = ""
    """A change replaces the container. For programs that read their secrets only at the start."""
    mounts: Sequence[Mount] = ()
    memory_folders: Sequence[str] = ()
    """Writable folders in memory, which are deleted with the container."""
    scratch_folders: Sequence[str] = ()
    """Writable folders on disk, which are deleted with the container."""
    networks: Sequence[pulumi.Input[str]] = ()
    """On each of them the task's role is its host name. Without any, the task has no network."""


@dataclass(frozen=True, kw_only=True)
class Workload(Task):
    """One service: a process that keeps running, its ports and its probe."""

    probe: Probe
    ports: Sequence[Port] = ()
    # Not "unless-stopped": after a crash, Docker stops the containers that still run, and would leave them stopped.
    restart: str = "always"
    stop_signal: str = "SIGTERM"
    stop_seconds: int = 30
    """The process is killed when it has not ended this long after the stop signal."""

"""What a service is, said without naming the engine that runs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi

from contract.paths import SECRETS


@dataclass(frozen=True, kw_only=True)
class SecretFile:
    """A secret that the task reads from a file."""

    name: str
    """The file's name; its folder is `SECRETS`."""
    content: pulumi.Input[str]

    @property
    def path(self) -> str:
        return f"{SECRETS}/{self.name}"


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A volume and where the service finds it."""

    volume: pulumi.Input[str]
    target: str
    read_only: bool = False


@dataclass(frozen=True, kw_only=True)
class Port:
    """A port of the service, opened on an address of the Docker host."""

    container: int
    host: int
    address: str


def in_url(host: str) -> str:
    """A name or an address as it stands in a URL."""
    return f"[{host}]" if ":" in host else host


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A command that succeeds when the service can be used. All times are in seconds."""

    command: Sequence[str]
    interval: int = 5
    """Between two looks at a service that is ready, at least 1; until it is, it is looked at more often."""
    timeout: int = 10
    patience: int = 180
    """How long the service may take to become ready before the deployment is called failed."""
    grace: int = 600
    """How long after its start a failing probe means "not yet", and not "broken". A recovery may take minutes."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a task may use. Without an end, one that runs away takes the host with it."""

    memory_mb: int
    """Memory in MiB; there is no swap beyond it."""
    cpus: float = 0
    """Processors; 0 is all of them."""
    processes: int = 4096
    """Processes and threads of the task's user id on the whole host: the engine's own count per container cannot be
    set through the provider."""
    shared_memory_mb: int = 64


@dataclass(frozen=True, kw_only=True)
class Task:
    """A process that runs once, to its end: what it is, what it reads, what it may use.

    Its root filesystem is read-only, it has no capabilities and can win no privileges.
    """

    image: pulumi.Input[str]
    user: int
    """User and group id of the process."""
    limits: Limits
    entrypoint: Sequence[str] = ()
    """What is run instead of the image's own."""
    command: Sequence[pulumi.Input[str]] = ()
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """Never a secret: an environment is shown by the engine to whoever asks."""
    secret_files: Sequence[SecretFile] = ()
    """Each in the folder /run/secrets, mode 0400, owned by the task's user."""
    secrets_version: str = ""
    """Whoever reads its secrets only once, at its start, is made anew when this changes."""
    mounts: Sequence[Mount] = ()
    memory_folders: Sequence[str] = ()
    """Folders that can be written, are held in memory, and go with the container."""
    scratch_folders: Sequence[str] = ()
    """Folders that can be written, are held on disk, and go with the container."""
    networks: Sequence[pulumi.Input[str]] = ()
    """The task answers on each of them to its role's name; without any, it has no network at all."""


@dataclass(frozen=True, kw_only=True)
class Workload(Task):
    """One service: a process that stays, where it is reached and how it is known to be ready."""

    probe: Probe
    ports: Sequence[Port] = ()
    # Not "unless-stopped": an engine that was killed stops, at its return, what still runs, and takes that for a wish.
    restart: str = "always"
    stop_signal: str = "SIGTERM"
    stop_seconds: int = 30
    """How long the process may take to end by itself before it is killed."""

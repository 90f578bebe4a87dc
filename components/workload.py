"""What a service is, said without naming the engine that runs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi


@dataclass(frozen=True, kw_only=True)
class SecretFile:
    """A secret that the service reads from a file, mode 0400."""

    path: str
    content: pulumi.Input[str]
    owner: int
    """User id, inside the container, of the one reader."""


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A volume and where the service finds it."""

    volume: pulumi.Input[str]
    target: str


@dataclass(frozen=True, kw_only=True)
class Port:
    """A port of the service, opened on an address of the Docker host."""

    container: int
    host: int
    address: str


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A command that succeeds when the service can be used. All times are in seconds."""

    command: Sequence[str]
    interval: int = 5
    timeout: int = 10
    patience: int = 180
    """How long the service may take to become ready before the deployment is called failed."""
    grace: int = 600
    """How long after its start a failing probe means "not yet", and not "broken". A recovery may take minutes."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the service may use."""

    shared_memory_mb: int = 64


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One service: a process, what it reads, where it is reached and how it is known to be ready."""

    image: pulumi.Input[str]
    probe: Probe
    command: Sequence[pulumi.Input[str]] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    """Never a secret: an environment is shown by the engine to whoever asks."""
    secret_files: Sequence[SecretFile] = ()
    mounts: Sequence[Mount] = ()
    ports: Sequence[Port] = ()
    networks: Sequence[pulumi.Input[str]] = ()
    """The service answers on each of them to its role's name."""
    limits: Limits = Limits()
    restart: str = "unless-stopped"
    stop_seconds: int = 30
    """How long the process may take to end by itself before it is killed."""

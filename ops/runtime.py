"""The interface of an engine that runs a stack. Each engine has one class that implements it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from contract import labels, roles
from contract.names import object_name


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network at one moment."""

    id: str
    name: str
    labels: Mapping[str, str]
    created: datetime


@dataclass(frozen=True, kw_only=True)
class Container:
    """A container at one moment."""

    id: str
    name: str
    labels: Mapping[str, str]
    created: datetime
    status: str
    """created, running, paused, restarting or exited."""
    health: str
    """starting, healthy or unhealthy; `unknown` without a health check."""
    exit_code: int
    """The exit code of its last run."""
    restarts: int
    volumes: Mapping[str, str]
    """The mount points of its volumes, by the volume's name."""

    @property
    def role(self) -> str:
        return self.labels.get(labels.ROLE, "")

    @property
    def kind(self) -> str:
        """A container of an older version without the label is a service."""
        return self.labels.get(labels.KIND, labels.SERVICE)

    @property
    def is_as_expected(self) -> bool:
        """Whether it has the state after a successful `up`: a healthy service, a task that ended with code 0, a courier
        that was never started. True for every helper.
        """
        match self.kind:
            case labels.HELPER:
                return True
            case labels.COURIER:
                return self.status == "created"
            case labels.TASK:
                return self.status == "exited" and self.exit_code == 0
        return self.status == "running" and self.health == "healthy"

    @property
    def condition(self) -> str:
        """Its status in a few words."""
        match self.kind:
            case labels.TASK:
                return f"{self.status} with exit code {self.exit_code}"
            case labels.COURIER:
                return self.status
        return f"{self.status} and {self.health}"


@dataclass(frozen=True, kw_only=True)
class Result:
    """The output and the exit code of a command in a container."""

    exit_code: int
    output: str
    errors: str


@dataclass(frozen=True, kw_only=True)
class TaskLike:
    """A task with the image, environment, volumes, limits and network of another one."""

    name: str
    command: Sequence[str]
    labels: Mapping[str, str]
    user: str = ""
    """User and group; empty for the other task's."""
    capabilities: Sequence[str] = ()
    volumes: Mapping[str, str] = field(default_factory=dict)
    """The mount points of additional volumes."""
    host_paths: Mapping[Path, str] = field(default_factory=dict)
    """The mount points of folders and files of this machine. They are mounted read-only."""


class GoneError(Exception):
    """The container or network no longer exists, or has ended."""


class RegistryError(Exception):
    """The registry did not answer, or does not have the image."""


class Runtime(Protocol):
    """An engine. Its methods raise `EngineError` when it fails, and `GoneError` for objects that no longer exist."""

    def identity(self) -> str:
        """A unique id of this engine."""

    def version(self) -> str:
        """Name and version of the engine."""

    def now(self) -> datetime:
        """The time of the engine's clock, which may be on another machine."""

    def containers(self, prefix: str) -> list[Container]:
        """The stack's containers, in every status."""

    def networks(self, prefix: str) -> list[Network]:
        """The stack's networks."""

    def volumes(self, prefix: str) -> list[str]:
        """Names of the stack's volumes, also of a destroyed stack."""

    def members(self, network: Network) -> Mapping[str, str]:
        """All containers on a network, also foreign ones: names by id."""

    def execute(self, container: Container, command: Sequence[str], environment: Mapping[str, str]) -> Result:
        """Run a command in a running container."""

    def logs(
        self,
        container: Container,
        *,
        tail: int | None = None,
        follow: bool = False,
        output: bool = True,
        errors: bool = True,
    ) -> Iterator[bytes]:
        """The log of a container in chunks: its last `tail` lines, or all of them."""

    def create(self, task: TaskLike, like: Container) -> Container:
        """Create a container for a task, without starting it."""

    def start(self, container: Container) -> None: ...

    def stop(self, container: Container, seconds: int) -> None:
        """Stop a container, and kill it after so many seconds."""

    def wait(self, container: Container) -> int:
        """Wait until a container has ended. Returns its exit code."""

    def remove(self, container: Container) -> None:
        """Stop a container with its own timeout, and remove it with its anonymous volumes, if it still exists.

        A container that was never ready has accepted no data: it is killed.
        """

    def discard(self, container: Container) -> None:
        """Kill a container and remove it with its anonymous volumes."""

    def remove_network(self, network: Network) -> None:
        """Disconnect every container and remove the network, if it still exists."""

    def digest(self, image: str) -> str:
        """The digest that the registry has for an image's tag. Raises `RegistryError`."""

    def close(self) -> None: ...


Connect = Callable[[], Runtime]
"""Connects to the engine. Raises `EngineError`."""


def schema_job(runtime: Runtime, prefix: str) -> Container | None:
    """The schema job's container; None when it is missing. Helpers of the same role have other names."""
    name = object_name(prefix, roles.SCHEMA)
    return next((each for each in runtime.containers(prefix) if each.name == name and each.kind == labels.TASK), None)


def service(runtime: Runtime, prefix: str, role: str) -> Container | None:
    """The running service of a role; None when none runs."""
    return next(
        (
            each
            for each in runtime.containers(prefix)
            if each.role == role and each.kind == labels.SERVICE and each.status == "running"
        ),
        None,
    )

"""What a container engine can do for a platform. No component knows more of an engine than this."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import pulumi

from ..image import Image
from .workload import Task, Workload


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network that containers join by its name."""

    name: pulumi.Output[str]
    subnet: pulumi.Output[str]
    """Its IPv4 address range, such as 172.20.0.0/16."""


@dataclass(frozen=True, kw_only=True)
class Volume:
    """A volume that containers mount by its name."""

    name: pulumi.Output[str]


class Engine(Protocol):
    """An engine that runs one deployment of one stack.

    `name` is always Pulumi's logical name of the resource and `role` what the object is for. `opts` carries the parent,
    and what the resource depends on.
    """

    def object_name(self, role: str) -> str:
        """The object's name on the engine. It is unique in the stack, so no role can be played twice."""

    def network(
        self, name: str, role: str, *, internal: bool, opts: pulumi.ResourceOptions, outbound: bool = True
    ) -> Network:
        """Create a network.

        An internal network has no route to the outside and publishes no ports. Without `outbound` a network publishes
        ports, and its containers cannot reach the outside.
        """

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
        """Create a volume.

        `keep` leaves it on the engine when the stack is destroyed; the next stack of the same name uses it again.
        `protect` makes Pulumi refuse to destroy it, and the stack with it.
        """

    def build(self, name: str, role: str, image: Image, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
        """Build an image if its content has changed. Returns what a `Task` names as its image."""

    def run(self, name: str, role: str, workload: Workload, opts: pulumi.ResourceOptions) -> pulumi.Resource:
        """Run a service, and wait until its probe succeeds. Secret files are there before the service starts."""

    def run_once(
        self, name: str, role: str, task: Task, opts: pulumi.ResourceOptions
    ) -> pulumi.Output[pulumi.Resource]:
        """Run a task to its end, whenever it or its secrets change.

        Resources that need the task's success depend on what is returned. A task that fails ends the program: it raises
        `pulumi.RunError` with the last line that the task printed.
        """


EngineFactory = Callable[[str, pulumi.Input[str]], Engine]
"""Makes the engine of one deployment: it is given the prefix of all object names, and the deployment's identifier.

The identifier is new whenever a stack is created. An object that carries it and is missing from the state is an orphan.
"""

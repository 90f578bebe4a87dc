"""An engine that keeps plain records. It shows that `components.engine.api` is all that a platform needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.engine import Network, Volume
from components.engine.workload import Task, Workload
from components.image import Image


@dataclass(frozen=True, kw_only=True)
class ToyNetwork:
    name: str
    internal: bool
    outbound: bool
    parent: pulumi.Resource | None


@dataclass(frozen=True, kw_only=True)
class ToyVolume:
    name: str
    keep: bool
    protect: bool
    labels: Mapping[str, str]
    parent: pulumi.Resource | None


@dataclass(frozen=True, kw_only=True)
class ToyImage:
    name: str
    image: Image
    parent: pulumi.Resource | None


class ToyEngine:
    """Implements `api.Engine`. Its records are found by role."""

    def __init__(self, prefix: str, deployment: pulumi.Input[str]) -> None:
        self.prefix = prefix
        self.deployment = deployment
        self.networks: dict[str, ToyNetwork] = {}
        self.volumes: dict[str, ToyVolume] = {}
        self.images: dict[str, ToyImage] = {}
        self.services: dict[str, Workload] = {}
        self.tasks: dict[str, Task] = {}

    def object_name(self, role: str) -> str:
        return f"toy/{self.prefix}/{role}"

    def network(
        self, name: str, role: str, *, internal: bool, opts: pulumi.ResourceOptions, outbound: bool = True
    ) -> Network:
        self.networks[role] = ToyNetwork(name=name, internal=internal, outbound=outbound, parent=opts.parent)
        return Network(
            name=pulumi.Output.from_input(self.object_name(role)), subnet=pulumi.Output.from_input("192.0.2.0/24")
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
    ) -> Volume:
        self.volumes[role] = ToyVolume(name=name, keep=keep, protect=protect, labels=labels, parent=opts.parent)
        return Volume(name=pulumi.Output.from_input(self.object_name(role)))

    def build(self, name: str, role: str, image: Image, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
        self.images[role] = ToyImage(name=name, image=image, parent=opts.parent)
        return pulumi.Output.from_input(f"toy-image-of-{role}")

    def run(self, name: str, role: str, workload: Workload, opts: pulumi.ResourceOptions) -> pulumi.Resource:
        self.services[role] = workload
        return pulumi.CustomResource("toy:index:Service", name, opts=opts)

    def run_once(
        self, name: str, role: str, task: Task, opts: pulumi.ResourceOptions
    ) -> pulumi.Output[pulumi.Resource]:
        self.tasks[role] = task
        return pulumi.Output.from_input(pulumi.CustomResource("toy:index:Task", name, opts=opts))

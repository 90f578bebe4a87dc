"""The one fake Pulumi engine of the unit tests.

It records what a program asks for and answers as the providers would. It makes nothing, so what a real engine does with
a request is not shown here: that is for tests/integration.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
from google.protobuf import json_format
from pulumi.runtime import mocks, rpc, settings, stack

PROJECT = "mlflow-postgres"
STACK = "dev"
DEPLOYMENT = "fake-deployment"
INTERNAL_NETWORK = "192.0.2.0/24"

PLATFORM = "mlflow-postgres:index:Platform"
POSTGRES = "mlflow-postgres:index:Postgres"
MLFLOW = "mlflow-postgres:index:Mlflow"
ADMINER = "mlflow-postgres:index:Adminer"
SCHEMA = "mlflow-postgres:index:Schema"
SIGN_IN = "mlflow-postgres:index:SignIn"
HOUSEKEEPING = "mlflow-postgres:index:Housekeeping"
GATEWAY = "mlflow-postgres:index:Gateway"
EXPORTER = "mlflow-postgres:index:Exporter"
RANDOM_PASSWORD = "random:index/randomPassword:RandomPassword"
RANDOM_ID = "random:index/randomId:RandomId"
CONTAINER = "docker:index/container:Container"
IMAGE = "docker:index/remoteImage:RemoteImage"
NETWORK = "docker:index/network:Network"
VOLUME = "docker:index/volume:Volume"


def generated(name: str) -> str:
    """The value of the generated password of a logical name: its own for each, so that each can be followed."""
    return f"value-of-{name}"


@dataclass(frozen=True)
class Registration:
    """One resource as the program asked for it."""

    name: str
    type: str
    parent: str
    request: Any
    raw: dict[str, Any]
    """The inputs, secrets in their wrappers."""

    @property
    def inputs(self) -> dict[str, Any]:
        inputs: dict[str, Any] = plain(self.raw)
        return inputs

    @property
    def labels(self) -> dict[str, str]:
        return {each["label"]: each["value"] for each in self.inputs["labels"]}

    @property
    def role(self) -> str:
        return self.labels["mlflow-postgres.role"]

    @property
    def environment(self) -> dict[str, str]:
        return dict(each.split("=", 1) for each in self.inputs.get("envs", []))

    @property
    def mounted(self) -> dict[str, str]:
        """The volumes, by the folder that each is found in."""
        return {each["target"]: each["source"] for each in self.inputs.get("mounts", [])}

    @property
    def joined(self) -> set[str]:
        """The networks, without the stack's prefix."""
        return {each["name"].removeprefix(f"{PROJECT}-{STACK}-") for each in self.inputs.get("networksAdvanced", [])}

    @property
    def waits_for(self) -> set[str]:
        """What must be there before it is made, and is deleted after it."""
        return {_last(urn) for urn in self.request.dependencies}

    @property
    def made_of(self) -> set[str]:
        """Whose values its own properties are made of: a replacement of one of them replaces it before all else."""
        return {_last(urn) for each in self.request.propertyDependencies.values() for urn in each.urns}


class FakeEngine(mocks.MockMonitor, mocks.Mocks):
    """Records registrations, raw, and what components and the stack say of themselves."""

    def __init__(self, *, preview: bool = False, job_ends: tuple[int, str] = (0, "done\n")) -> None:
        """`job_ends` is the exit code of every container that is waited for to its end, and what it said."""
        super().__init__(self)
        self.preview = preview
        self.job_ends = job_ends
        self.registered: dict[str, Registration] = {}
        self.outputs: dict[str, list[dict[str, Any]]] = {}

    def run(
        self, program: Callable[[], object], config: Mapping[str, str] | None = None, secret: Iterable[str] = ()
    ) -> FakeEngine:
        """Run a program to its end, every registration and every output included. What it raises is raised."""

        def inside() -> None:
            settings.configure(
                mocks.MockSettings(  # type: ignore[no-untyped-call]  # Pulumi has no types here
                    monitor=self,
                    monitor_features=_features(self),
                    engine=mocks.MockEngine(None),
                    project=PROJECT,
                    stack=STACK,
                    dry_run=self.preview,
                    callbacks=None,
                )
            )
            settings.SETTINGS.outputs.clear()
            full = {f"{PROJECT}:{key}": value for key, value in (config or {}).items()}
            pulumi.runtime.set_all_config(full, [f"{PROJECT}:{key}" for key in secret])
            asyncio.get_event_loop().run_until_complete(stack.run_in_stack(lambda: _ignore(program())))

        # A context of its own, so that no setting and no root resource of one test is seen by the next.
        contextvars.copy_context().run(inside)
        return self

    @property
    def exports(self) -> dict[str, Any]:
        """The stack's outputs, secrets in their wrappers."""
        (exports,) = self.outputs[f"{PROJECT}-{STACK}"]
        return exports

    def of(self, *types: str) -> dict[str, Registration]:
        """What was registered of some types, by name."""
        return {name: each for name, each in self.registered.items() if each.type in types}

    def container(self, role: str) -> Registration:
        (found,) = (each for each in self.of(CONTAINER).values() if each.role == role)
        return found

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        raise AssertionError(f"planning looks nothing up, but {args.token} was called")

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        computed = self._computed(args)
        if self.preview:
            return None, {**args.inputs, **dict.fromkeys(computed, rpc.UNKNOWN)}
        return f"{args.name}-id", {"name": args.name, **args.inputs, **computed}

    def _computed(self, args: mocks.MockResourceArgs) -> dict[str, Any]:
        """What a provider would add. No secret is marked as such here: every mark seen is the program's own."""
        exit_code, said = self.job_ends
        computed: dict[str, dict[str, Any]] = {
            RANDOM_PASSWORD: {"result": generated(args.name)},
            RANDOM_ID: {"hex": DEPLOYMENT},
            IMAGE: {"imageId": "sha256:fake"},
            NETWORK: {"ipamConfigs": [{"subnet": INTERNAL_NETWORK}]},
            CONTAINER: {"exitCode": exit_code, "containerLogs": said},
        }
        return computed.get(args.typ, {})

    def ReadResource(self, request: Any) -> Any:
        raise AssertionError(f"planning looks nothing up, but {request.type} {request.name} was read")

    def RegisterResource(self, request: Any) -> Any:
        if request.type != "pulumi:pulumi:Stack":
            assert request.name not in self.registered, f"two resources are called {request.name}"
            parent = _last(request.parent)
            raw = json_format.MessageToDict(request.object)
            self.registered[request.name] = Registration(request.name, request.type, parent, request, raw)
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]  # Pulumi has no types here

    def RegisterResourceOutputs(self, request: Any) -> Any:
        self.outputs.setdefault(_last(request.urn), []).append(json_format.MessageToDict(request.outputs))
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]  # Pulumi has no types here


def plain(value: Any) -> Any:
    """A value without the wrappers of its secrets."""
    if rpc.is_rpc_secret(value):
        return plain(rpc.unwrap_rpc_secret(value))
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value


def texts(value: Any, path: str = "", secret: bool = False) -> Iterator[tuple[str, str, bool]]:
    """Every text within a value: where it is, what it says, and whether it is secret."""
    if rpc.is_rpc_secret(value):
        yield from texts(rpc.unwrap_rpc_secret(value), path, secret=True)
    elif isinstance(value, dict):
        for key, each in value.items():
            yield path, key, secret
            yield from texts(each, f"{path}.{key}".lstrip("."), secret)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each, path, secret)
    else:
        yield path, str(value), secret


def _features(monitor: mocks.MockMonitor) -> set[int]:
    return set(monitor.GetDeploymentInfo(None).supportedFeatures)  # type: ignore[no-untyped-call]  # Pulumi has no types here


def _last(urn: str) -> str:
    return urn.rpartition("::")[2]


def _ignore(_: object) -> None:
    """What the program returns is no coroutine to wait for."""

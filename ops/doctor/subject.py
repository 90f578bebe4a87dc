"""The stack that is looked at: what the engine and its outputs tell of it, and the ways into it."""

from __future__ import annotations

import json
import shlex
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import docker
from docker.models.containers import Container

from contract import labels

from .. import inside, objects
from ..stack import prefix, pulumi, short_name


class NotTried(Exception):
    """A check cannot be carried out, because of what another one reports."""


@dataclass(frozen=True)
class Subject:
    """A stack at one moment."""

    stack: str
    engine: docker.DockerClient
    outputs: Mapping[str, Any]
    """Without secrets; empty when they cannot be read."""
    containers: Sequence[Container]
    _two_at_a_time: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(2))

    @property
    def make_up(self) -> str:
        """The command that brings the stack up."""
        return f"make up STACK={short_name(self.stack)}"

    @property
    def make_logs(self) -> str:
        """The command that shows what the services say."""
        return f"make logs STACK={short_name(self.stack)}"

    @property
    def has_gateway(self) -> bool:
        """Whether a gateway stands before MLflow, even one that is gone: its courier stays."""
        return self.find("gateway") is not None or self.find("gateway-courier") is not None

    def anew(self, role: str) -> str:
        """The command that makes a container anew and waits for it; the schema job runs only when it is not there."""
        return f"docker rm --force {prefix(self.stack)}-{role} && {self.make_up}"

    def psql(self, *statements: str) -> str:
        """The command that has a superuser run statements in MLflow's database, each by itself."""
        commands = [part for statement in statements for part in ("-c", statement)]
        name, database = self.running("postgres").name, self.output("postgres_database")
        return shlex.join(["docker", "exec", str(name), "psql", "-U", "postgres", "-d", database, *commands])

    def find(self, role: str) -> Container | None:
        """The container that plays a role; None when the stack has none."""
        return next((each for each in self.containers if objects.label(each, labels.ROLE) == role), None)

    def running(self, role: str) -> Container:
        """The container that plays a role. Raises `NotTried` unless it runs."""
        container = self.find(role)
        if container is None or container.status != "running":
            raise NotTried(f"{role} does not run")
        return container

    def output(self, name: str) -> str:
        """One of the stack's outputs. Raises `NotTried` when they cannot be read."""
        if name not in self.outputs:
            raise NotTried(f"the stack has no output {name}")
        return str(self.outputs[name])

    def secret(self, name: str) -> str:
        """A secret output, to be kept in memory alone."""
        return pulumi("stack", "output", name, "--show-secrets", "--stack", self.stack).strip()

    def ask(self, query: str) -> str:
        """What the database says. Raises `InsideError`.

        Two questions at a time: the last connections, which are a superuser's, are three, and a person may need one.
        """
        database = self.running("postgres")
        with self._two_at_a_time:
            return inside.ask(database, query)

    def rows(self, query: str) -> list[dict[str, Any]]:
        """The rows that a query finds. Raises `InsideError`."""
        found: list[dict[str, Any]] = json.loads(
            self.ask(f"SELECT coalesce(json_agg(found), '[]') FROM ({query}) AS found")
        )
        return found


def subject_of(engine: docker.DockerClient, stack: str, outputs: Mapping[str, Any]) -> Subject:
    """The stack as it is now. What runs beside it for a moment, such as another command of the job, is left out."""
    found = objects.containers(engine, prefix(stack))
    own = [each for each in found if each.name == f"{prefix(stack)}-{objects.label(each, labels.ROLE)}"]
    return Subject(stack, engine, outputs, own)

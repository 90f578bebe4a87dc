"""The stack that is checked: its outputs, its containers, and functions to query them."""

from __future__ import annotations

import json
import shlex
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from contract import roles
from contract.names import object_name

from .. import execution
from ..runtime import Container, Runtime
from ..stack import prefix, pulumi, short_name


class NotTried(Exception):
    """A check cannot be run. Another check reports the cause."""


@dataclass(frozen=True)
class Subject:
    """A stack at one moment."""

    stack: str
    runtime: Runtime
    outputs: Mapping[str, Any]
    """Without secrets; empty if they cannot be read."""
    containers: Sequence[Container]
    _two_at_a_time: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(2))

    @property
    def make_up(self) -> str:
        """The command that brings the stack up."""
        return f"make up STACK={short_name(self.stack)}"

    @property
    def make_logs(self) -> str:
        """The command that prints the services' logs."""
        return f"make logs STACK={short_name(self.stack)}"

    @property
    def has_gateway(self) -> bool:
        """Whether the stack has a gateway. If its container was removed, its courier still exists."""
        return bool(self.find(roles.GATEWAY) or self.find(roles.courier_of(roles.GATEWAY)))

    def recreate(self, role: str) -> str:
        """The command that creates a container again, even the schema job's, which runs only if its container is
        missing.
        """
        return f"docker rm --force {object_name(prefix(self.stack), role)} && {self.make_up}"

    def psql(self, *statements: str) -> str:
        """The command that runs statements in MLflow's database as a superuser, each in its own transaction."""
        commands = [part for statement in statements for part in ("-c", statement)]
        name, database = self.running(roles.POSTGRES).name, self.output("postgres_database")
        return shlex.join(["docker", "exec", name, "psql", "-U", "postgres", "-d", database, *commands])

    def find(self, role: str) -> Container | None:
        """The container of a role; None when the stack has none."""
        return next((each for each in self.containers if each.role == role), None)

    def running(self, role: str) -> Container:
        """The container of a role. Raises `NotTried` unless it runs."""
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
        """A secret output. Do not print it."""
        return pulumi("stack", "output", name, "--show-secrets", "--stack", self.stack).strip()

    def execute(self, role: str, *command: str, timeout: int = 5) -> str:
        """The output of a command in a role's container. Raises `ExecutionError`, and `NotTried` unless it runs."""
        return execution.run(self.runtime, self.running(role), *command, timeout=timeout)

    def query(self, statement: str) -> str:
        """Run a statement. Returns psql's output. Raises `ExecutionError`.

        Two statements at a time: only three connections are reserved for superusers, and a person may need one.
        """
        database = self.running(roles.POSTGRES)
        with self._two_at_a_time:
            return execution.query(self.runtime, database, statement)

    def rows(self, query: str) -> list[dict[str, Any]]:
        """The rows of a query. Raises `ExecutionError`."""
        found: list[dict[str, Any]] = json.loads(
            self.query(f"SELECT coalesce(json_agg(found), '[]') FROM ({query}) AS found")
        )
        return found


def subject_of(runtime: Runtime, stack: str, outputs: Mapping[str, Any]) -> Subject:
    """The stack as it is now, without helpers, such as another command of the schema job."""
    found = runtime.containers(prefix(stack))
    own = [each for each in found if each.name == object_name(prefix(stack), each.role)]
    return Subject(stack, runtime, outputs, own)

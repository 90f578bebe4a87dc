"""This project as one of the systems: a stack with default settings, from a copy of the checkout or of a commit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import suppress
from typing import Any

import yaml
from docker.models.containers import Container

from bench.environment import BenchError, Environment, copy_commit, copy_project, free_ports, stop_requested


class Product:
    """One stack. It has the environment's name, so that removing the environment removes the stack."""

    def __init__(
        self, environment: Environment, suffix: str = "", *, commit: str | None = None, **settings: Any
    ) -> None:
        """`suffix` is one of `STACKS`."""
        self.environment = environment
        self.name = environment.name + suffix
        self._project = environment.folder / f"project{suffix}"
        if commit:
            copy_commit(commit, self._project)
        else:
            copy_project(self._project)
        mlflow, postgres = free_ports(2)
        self.settings = {"mlflowPort": mlflow, "postgresPort": postgres, "adminer": False, "keepData": False}
        self.settings |= settings
        self.url = f"http://127.0.0.1:{mlflow}"
        self._environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("PULUMI_")},
            "XDG_STATE_HOME": str(environment.folder / f"state{suffix}"),
            # Keeps the benchmark's stack out of the user's own Pulumi backend.
            "PULUMI_CREDENTIALS_PATH": str(environment.folder / f"credentials{suffix}"),
        }
        config = {f"mlflow-postgres:{key}": value for key, value in self.settings.items()}
        (self._project / f"Pulumi.{self.name}.yaml").write_text(yaml.safe_dump({"config": config}))
        self._pulumi("stack", "init", self.name)

    def up(self) -> None:
        """Run `pulumi up`. Raises BenchError with Pulumi's output."""
        self._pulumi("up", "--yes", "--skip-preview", "--stack", self.name)

    def destroy(self) -> None:
        self._pulumi("destroy", "--yes", "--skip-preview", "--stack", self.name)

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, secrets included."""
        values: dict[str, Any] = json.loads(
            self._pulumi("stack", "output", "--json", "--show-secrets", "--stack", self.name)
        )
        return values

    def container(self, role: str) -> Container:
        return self.environment.engine.containers.get(f"mlflow-postgres-{self.name}-{role}")

    def _pulumi(self, *arguments: str) -> str:
        with subprocess.Popen(
            [self._project / "bin" / "pulumi", *arguments, "--non-interactive"],
            cwd=self._project,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Ctrl-C must reach the benchmark alone, which then ends Pulumi.
            start_new_session=True,
        ) as process:
            try:
                printed, errors = _wait(process)
            except BaseException:
                # Kills the plugins too, which would otherwise create more. The environment removes what exists.
                os.killpg(process.pid, signal.SIGKILL)
                raise
        if process.returncode:
            raise BenchError(f"pulumi {' '.join(arguments)} ended {process.returncode}:\n{printed}\n{errors}")
        return printed


def _wait(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Wait for the process, and return its output. Raises BenchError if the run is stopped."""
    while not stop_requested.is_set():
        with suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=0.2)
    raise BenchError("stopped while Pulumi was running")

"""The project itself as one of the sides: a stack of its own, from a copy of the checkout, with default settings."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import suppress
from typing import Any

import yaml
from docker.models.containers import Container

from bench.room import BenchError, Room, clone, free_ports, stopped


class Product:
    """One stack. Its name is the room's, so the room's end is its end, too."""

    def __init__(self, room: Room, suffix: str = "", **settings: Any) -> None:
        self.room = room
        self.name = room.name + suffix
        self._project = clone(room.folder / f"project{suffix}")
        mlflow, postgres = free_ports(2)
        self.settings = {"mlflowPort": mlflow, "postgresPort": postgres, "adminer": False, "keepData": False}
        self.settings |= settings
        self.url = f"http://127.0.0.1:{mlflow}"
        self._environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("PULUMI_")},
            "XDG_STATE_HOME": str(room.folder / f"state{suffix}"),
            # Who is signed in to a backend of their own must not find the benchmark's stack there.
            "PULUMI_CREDENTIALS_PATH": str(room.folder / f"credentials{suffix}"),
        }
        config = {f"mlflow-postgres:{key}": value for key, value in self.settings.items()}
        (self._project / f"Pulumi.{self.name}.yaml").write_text(yaml.safe_dump({"config": config}))
        self._pulumi("stack", "init", self.name)

    def up(self) -> None:
        """Bring the stack up. Raises BenchError with what Pulumi printed."""
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
        return self.room.engine.containers.get(f"mlflow-postgres-{self.name}-{role}")

    def _pulumi(self, *arguments: str) -> str:
        with subprocess.Popen(
            [self._project / "bin" / "pulumi", *arguments, "--non-interactive"],
            cwd=self._project,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Ctrl-C reaches this program alone, which then ends Pulumi in its own time.
            start_new_session=True,
        ) as process:
            try:
                printed, errors = _wait(process)
            except BaseException:
                # With its plugins, which go on making things otherwise. What it has made goes with the room.
                os.killpg(process.pid, signal.SIGKILL)
                raise
        if process.returncode:
            raise BenchError(f"pulumi {' '.join(arguments)} ended {process.returncode}:\n{printed}\n{errors}")
        return printed


def _wait(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What it printed by its end. Raises BenchError when the run is stopped before."""
    while not stopped.is_set():
        with suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=0.2)
    raise BenchError("stopped while Pulumi was at work")

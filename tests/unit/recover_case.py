"""`ops recover` on a fake Docker engine, with Pulumi replaced."""

from __future__ import annotations

import argparse
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from ops import recover

from .fake_docker import FakeContainer, FakeDocker

MARK = {
    "type": "random:index/randomId:RandomId",
    "urn": "urn:pulumi:dev::mlflow-postgres::random:index/randomId:RandomId::mlflow-postgres-deployment",
    "id": "AAAA",
    "outputs": {"hex": "this-life"},
}
STACK = {"type": "pulumi:pulumi:Stack", "urn": "urn:pulumi:dev::mlflow-postgres::pulumi:pulumi:Stack::it"}


class Recovery:
    """`ops recover` with Pulumi and the engine replaced, and the calls of Pulumi."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, state_folder: Path) -> None:
        self.calls: list[tuple[tuple[str, ...], str | None]] = []
        self.state: dict[str, Any] = {"version": 3, "deployment": {"resources": [STACK, MARK]}}
        self.calls_before_export: int | None = None
        self.engine = FakeDocker()
        self.locks = state_folder / ".pulumi" / "locks" / "organization" / "mlflow-postgres" / "dev"
        self.locks.mkdir(parents=True)
        monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{state_folder}")
        monkeypatch.setattr(recover, "pulumi", self._pulumi)
        monkeypatch.setattr(recover, "export", self._export)
        monkeypatch.setattr("ops.readiness.configuration", lambda _: {})

    def run(self, stack: str = "dev", *, before: str = "refresh") -> None:
        try:
            recover.run(argparse.Namespace(stack=stack, before=before), self.engine.connect)
        finally:
            assert self.engine.closed

    def _export(self, _: str) -> dict[str, Any]:
        self.calls_before_export = len(self.calls)
        return self.state

    def _pulumi(self, *arguments: str, text: str | None = None) -> str:
        self.calls.append((arguments, text))
        return ""


def leave_lock(folder: Path, host: str | None = None) -> None:
    """A lock of a process that is dead: Linux gives out no number as high as this one."""
    lock = {"pid": 2**22 + 1, "hostname": host or socket.gethostname()}
    (folder / "left.json").write_text(json.dumps(lock))


def in_state(recovery: Recovery, *containers: FakeContainer) -> None:
    """Containers that the state knows."""
    resources = [{"type": "docker:x", "urn": "x", "id": container.id} for container in containers]
    recovery.state["deployment"]["resources"] += resources
    recovery.engine = FakeDocker(containers=list(containers))

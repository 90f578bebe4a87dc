"""Three servers with sign-in: ours, and MLflow as it comes on psycopg2 and on SQLite."""

from __future__ import annotations

import base64
import os
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from mlflow_postgres.runtime.serve import STARTUP

from .. import CHECKOUT, PYTHONPATH
from .answers import Server
from .calls import V2

ADMINISTRATOR, PASSWORD = "admin", "a-password-of-the-sweep"
PATIENCE = 300.0
"""Seconds until a server answers; on a busy machine it takes a minute."""
_SIGN_IN = f"""[mlflow]
database_uri = %s
default_permission = READ
admin_username = {ADMINISTRATOR}
admin_password = {PASSWORD}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 60
"""


@dataclass(frozen=True)
class Process:
    """A server that was started, and may not answer yet."""

    server: Server
    started: subprocess.Popen[bytes]
    log: Path

    def wait(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            assert self.started.poll() is None, self.log.read_text()[-4000:]
            assert time.monotonic() < deadline, self.log.read_text()[-4000:]
            time.sleep(0.2)

    def _answers(self) -> bool:
        try:
            said = requests.get(f"{self.server.url}{V2}/users/current", headers=self.server.headers, timeout=10)
        except requests.RequestException:
            return False
        return said.ok


@contextmanager
def running(folder: Path, store: str, *, ours: bool) -> Iterator[Process]:
    """A server on a store; all of its processes end with it."""
    folder.mkdir()
    sign_in = folder / "sign-in.ini"
    sign_in.write_text(_SIGN_IN % store.replace("mlflow.db", "users.db").replace("%", "%%"))
    port = _free_port()
    log = folder / "log"
    # Two workers: ours imports the package in the process that it forks them from.
    application = "postgresql-basic-auth" if ours else "basic-auth"
    options = ("--host", "127.0.0.1", "--port", str(port), "--workers", "2" if ours else "1")
    with log.open("wb") as output:
        started = subprocess.Popen(
            [
                *(sys.executable, "-m", "mlflow", "server", "--app-name", application, *options),
                *("--artifacts-destination", str(folder / "artifacts")),
            ],
            # The same for all of them, since some refusals name it.
            cwd=folder.parent,
            env={
                **os.environ,
                "PYTHONPATH": _python_path(folder) if ours else "",
                "MLFLOW_BACKEND_STORE_URI": store,
                "REST_CONNECTIONS": "4",
                "MLFLOW_AUTH_CONFIG_PATH": str(sign_in),
                "MLFLOW_FLASK_SERVER_SECRET_KEY": "a-key",
                "MLFLOW_CRYPTO_KEK_PASSPHRASE": "a-passphrase",
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
                "MLFLOW_DISABLE_TELEMETRY": "true",
            },
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Process(Server(f"http://127.0.0.1:{port}", _signed_in()), started, log)
    finally:
        os.killpg(started.pid, signal.SIGKILL)
        started.wait()


def _python_path(folder: Path) -> str:
    """For a server that finds the package as in the image: by its entry points, and at the start of every process."""
    project = tomllib.loads((CHECKOUT / "server" / "pyproject.toml").read_text())["project"]
    installed = folder / "installed"
    information = installed / "mlflow_postgres-1.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 1\n")
    groups = [
        f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in points.items())
        for group, points in project["entry-points"].items()
    ]
    (information / "entry_points.txt").write_text("\n".join(groups))
    return os.pathsep.join([str(STARTUP), str(installed), PYTHONPATH])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _signed_in() -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{ADMINISTRATOR}:{PASSWORD}".encode()).decode()}

"""The stack with everything on: all services, sign-in and TLS. Its first start fails twice before it succeeds."""

from __future__ import annotations

import base64
import ssl
import urllib.request

from contract.labels import ROLE, STACK

from .doctor import archive_by, certificate
from .harness import Deployment
from .limits import REQUEST, STOP
from .postgres_containers import put_file
from .secret_search import watched_processes
from .small_volumes import small_volume

USERS = {
    "postgres": "999",
    "mlflow": "65534",
    "adminer": "33",
    "gateway": "65534",
    "gc": "65534",
    "exporter": "65534",
}
"""The services, and the user id of each."""
TASK = "schema"


class EverythingOn:
    """The stack, and the arguments and environments of every process on the machine during its first start."""

    def __init__(self, stack: Deployment) -> None:
        self.stack = stack
        stack.configure(hostname="localhost", tls="files", allowedHosts=["mlflow.test"], signIn=True)
        stack.configure(adminer=True, gcAfterDays=30, metrics=True, postgresSettings={"archive_mode": "on"})
        certificate(stack, days=60)
        # In memory, so that a test can fill it.
        small_volume(stack, "mlflow-artifacts", 1200, user=65534, mode="0755")
        with watched_processes() as self.processes:
            fail_a_job(stack)
            fail_a_courier(stack)
            stack.up()
        archive_by(stack, "true")

    @property
    def authorization(self) -> str:
        """The header that the administrator sends."""
        outputs = self.stack.outputs()
        return "Basic " + base64.b64encode(f"{outputs['admin_username']}:{outputs['admin_password']}".encode()).decode()

    def send(self) -> None:
        """One request of the administrator's."""
        request = urllib.request.Request(
            f"{self.stack.outputs()['tracking_url']}/api/2.0/mlflow/experiments/search?max_results=1",
            headers={"Authorization": self.authorization},
        )
        with urllib.request.urlopen(request, timeout=REQUEST, context=self.trust()) as answer:
            assert answer.status == 200

    def trust(self) -> ssl.SSLContext:
        """What a client needs to trust the stack's certificate."""
        return ssl.create_default_context(cafile=str(self.stack.certificate))


def fail_a_job(stack: Deployment) -> None:
    """The volume of keys holds one of a later version: `up` ends with the job's last words."""
    name = f"{stack.prefix}-keys"
    stack.engine.volumes.create(name, labels={STACK: stack.prefix, ROLE: "keys"})
    base = stack.engine.images.get("python:3.13-slim-trixie")
    carrier = stack.engine.containers.create(
        base, ["rm", "/keys/kek-9"], volumes={name: {"bind": "/keys"}}, network_mode="none"
    )
    try:
        put_file(carrier, "keys/kek-9", "of-a-later-version")
        printed = stack.up(fails=True)
        assert "schema ended with exit code 64" in printed
        assert "Mend it with: bin/pulumi config set credentialsVersion 8" in printed
        carrier.start()
        carrier.wait(timeout=STOP)
    finally:
        carrier.remove(force=True, v=True)


def fail_a_courier(stack: Deployment) -> None:
    """Another container has the name of one that is given secrets: an error in the middle of `up`."""
    stack.container("mlflow-courier").remove(v=True)
    other = stack.engine.containers.create(stack.image("postgres"), name=f"{stack.prefix}-mlflow-courier")
    try:
        assert "mlflow-courier" in stack.up(fails=True)
    finally:
        other.remove(force=True, v=True)

"""The example of what a team would run, as it stands in the project."""

from __future__ import annotations

import base64
import json
import socket
import ssl
from http.client import HTTPResponse
from typing import Any

from .harness import Deployment
from .limits import REQUEST
from .production import HOSTNAME, HTTPS


def ask(stack: Deployment, path: str, **headers: str) -> tuple[int, dict[str, Any]]:
    """A request through the front door, by its name and with trust in its authority alone."""
    trusted = ssl.create_default_context(
        cadata=stack.execute("gateway", "cat", "/data/caddy/pki/authorities/local/root.crt")
    )
    # The name leads nowhere here.
    with (
        socket.create_connection(("127.0.0.1", HTTPS), timeout=REQUEST) as cable,
        trusted.wrap_socket(cable, server_hostname=HOSTNAME) as sealed,
    ):
        lines = [f"GET {path} HTTP/1.1", f"Host: {HOSTNAME}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        sealed.sendall("\r\n".join([*lines, "", ""]).encode())
        answer = HTTPResponse(sealed)
        answer.begin()
        said = answer.read()
    return answer.status, json.loads(said) if answer.status == 200 else {}


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_it_is_up_at_its_name_with_sign_in(production: Deployment) -> None:
    outputs = production.outputs()
    assert outputs["tracking_url"] == f"https://{HOSTNAME}"
    path = "/api/2.0/mlflow/experiments/search?max_results=1"
    assert ask(production, path)[0] == 401
    status, said = ask(production, path, Authorization=basic(outputs["admin_username"], outputs["admin_password"]))
    assert (status, len(said["experiments"])) == (200, 1)


def test_only_the_front_door_is_open(production: Deployment) -> None:
    bound = {
        (role, each["HostIp"], each["HostPort"])
        for role in ("gateway", "mlflow", "postgres")
        for binding in production.container(role).ports.values()
        for each in binding or []
    }
    assert {each[0] for each in bound} == {"gateway"}
    assert {each[2] for each in bound} == {"443", "80"}


def test_its_plan_is_empty(production: Deployment) -> None:
    production.preview_unchanged()


def test_it_is_destroyed_only_after_the_command_that_the_refusal_names(production: Deployment) -> None:
    before = production.objects()
    said = production.pulumi("destroy", "--yes", "--skip-preview", "--stack", production.name, fails=True)
    command = f"bin/pulumi config set protectData false --stack {production.name}"
    assert "protectData is true" in said
    assert command in said
    assert production.objects() == before
    production.pulumi(*command.split()[1:])
    production.up()
    production.destroy()
    left = production.objects()
    assert (left["containers"], left["networks"], left["images"]) == (set(), set(), set())
    kept = {"postgres-data", "mlflow-artifacts", "backups", "keys", "gateway-data"}
    assert left["volumes"] == {f"{production.prefix}-{role}" for role in kept}

"""Calls of MLflow's API through the front door, as a client on the Docker host makes them."""

from __future__ import annotations

import base64
import json
import ssl
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from .. import inside
from .subject import Subject

# Seconds that a call may take. One that writes a row takes a hundredth of that.
_PATIENCE = 5

# What the gateway's certificate is trusted by: the platform's own authority, or the very file that somebody chose.
_TRUST = """
case $GATEWAY_TLS in
  internal) cat /data/caddy/pki/authorities/local/root.crt ;;
  files) cat /run/secrets/certificate.pem ;;
esac
"""


class DoorError(Exception):
    """A call did not do what it must; the message says which and how it was answered."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status
        """Of HTTP; 0 when there was no answer."""


class Door:
    """One connection to the tracking server. It follows no redirect: a password would go along."""

    def __init__(self, subject: Subject) -> None:
        self.url = subject.output("tracking_url")
        where = urlsplit(self.url)
        self._connection = (
            HTTPSConnection(str(where.hostname), where.port, timeout=_PATIENCE, context=_trust(subject))
            if where.scheme == "https"
            else HTTPConnection(str(where.hostname), where.port, timeout=_PATIENCE)
        )
        self._headers = {"Content-Type": "application/json", **_credentials(subject)}

    def __enter__(self) -> Door:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def call(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        """One call of the API, under /api/2.0/mlflow/; what it answered. Raises `DoorError`."""
        name = path.partition("?")[0]
        try:
            sent = json.dumps(body) if body else None
            self._connection.request(method, f"/api/2.0/mlflow/{path}", sent, self._headers)
            answer = self._connection.getresponse()
            said = answer.read()
        except (OSError, HTTPException) as error:
            raise DoorError(f"{name} at {self.url} got no answer: {error or type(error).__name__}") from None
        if answer.status != 200:
            raise DoorError(f"{name} at {self.url} answered {answer.status}", answer.status)
        try:
            found: dict[str, Any] = json.loads(said)
        except ValueError:
            raise DoorError(f"{name} at {self.url} answered what is no JSON") from None
        return found


def _trust(subject: Subject) -> ssl.SSLContext:
    """Whose certificates are believed: those of the machine's authorities, and what the stack itself offers."""
    context = ssl.create_default_context()
    offered = inside.run(subject.running("gateway"), "sh", "-c", _TRUST)
    if offered:
        context.load_verify_locations(cadata=offered)
        # The file may be the server's own certificate alone, without the authority's.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _credentials(subject: Subject) -> dict[str, str]:
    """With sign-in, the first administrator's, as a header."""
    if "admin_username" not in subject.outputs:
        return {}
    pair = f"{subject.outputs['admin_username']}:{subject.secret('admin_password')}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}

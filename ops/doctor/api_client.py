"""Calls MLflow's REST API at the tracking URL, like a client on the Docker host."""

from __future__ import annotations

import base64
import json
import ssl
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from contract import roles

from .subject import Subject

# Seconds. A call that writes a row takes a hundredth of this.
_TIMEOUT = 5

# Prints what the gateway's certificate is verified against: its own authority, or the user's file.
_PRINT_AUTHORITY = """
case $GATEWAY_TLS in
  internal) cat /data/caddy/pki/authorities/local/root.crt ;;
  files) cat /run/secrets/certificate.pem ;;
esac
"""


class ApiError(Exception):
    """A call failed. The message has its name and the response."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status
        """The HTTP status; 0 without a response."""


class ApiClient:
    """A connection to the tracking server. It follows no redirects: their target would get the password."""

    def __init__(self, subject: Subject) -> None:
        self.url = subject.output("tracking_url")
        where = urlsplit(self.url)
        self._connection = (
            HTTPSConnection(str(where.hostname), where.port, timeout=_TIMEOUT, context=_verification(subject))
            if where.scheme == "https"
            else HTTPConnection(str(where.hostname), where.port, timeout=_TIMEOUT)
        )
        self._headers = {"Content-Type": "application/json", **_credentials(subject)}

    def __enter__(self) -> ApiClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def call(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        """Make a call below /api/2.0/mlflow/. Returns the response. Raises `ApiError`."""
        name = path.partition("?")[0]
        try:
            sent = json.dumps(body) if body else None
            self._connection.request(method, f"/api/2.0/mlflow/{path}", sent, self._headers)
            answer = self._connection.getresponse()
            text = answer.read()
        except (OSError, HTTPException) as error:
            raise ApiError(f"{name} at {self.url} got no answer: {error or type(error).__name__}") from None
        if answer.status != 200:
            raise ApiError(f"{name} at {self.url} answered {answer.status}", answer.status)
        try:
            found: dict[str, Any] = json.loads(text)
        except ValueError:
            raise ApiError(f"{name} at {self.url} did not answer in JSON") from None
        return found


def _verification(subject: Subject) -> ssl.SSLContext:
    """Accept certificates of the machine's authorities and of the stack's own."""
    context = ssl.create_default_context()
    authority = subject.execute(roles.GATEWAY, "sh", "-c", _PRINT_AUTHORITY)
    if authority:
        context.load_verify_locations(cadata=authority)
        # The user's file may hold only the server's certificate, without the authority's.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _credentials(subject: Subject) -> dict[str, str]:
    """With sign-in, the header with the first administrator's credentials."""
    if "admin_username" not in subject.outputs:
        return {}
    pair = f"{subject.outputs['admin_username']}:{subject.secret('admin_password')}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}

"""A client for the part of the Docker Engine API that toolchain needs, with the standard library only."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

LOCAL_SOCKET = "/var/run/docker.sock"


class ApiError(Exception):
    """The engine refused a request. The text is the engine's message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Engine:
    """One engine at a `DOCKER_HOST` address (unix:// or tcp://). The Docker client's variables switch on TLS."""

    def __init__(self, address: str = f"unix://{LOCAL_SOCKET}", environment: Mapping[str, str] = os.environ) -> None:
        self.address = address
        self._environment = environment

    @property
    def reachable_here(self) -> bool:
        """Whether this module supports the address. It does not support ssh:// and npipe://."""
        return self.address.startswith(("unix://", "tcp://", "http://", "https://"))

    def ping(self, timeout: float = 5) -> None:
        """Return if the engine answers. Otherwise raises OSError, such as PermissionError, or HTTPException."""
        with self._call("GET", "/_ping", timeout=timeout):
            return

    def image_labels(self, reference: str) -> dict[str, str] | None:
        """The labels of an image, or None if the engine has no such image."""
        inspected = self._inspect(reference)
        return None if inspected is None else dict((inspected.get("Config") or {}).get("Labels") or {})

    def image_id(self, reference: str) -> str | None:
        """The id of an image, or None if the engine has no such image."""
        inspected = self._inspect(reference)
        return None if inspected is None else str(inspected["Id"])

    def remove_image(self, image_id: str) -> None:
        """Remove an image, unless a container or another image uses it."""
        try:
            with self._call("DELETE", f"/images/{quote(image_id, safe=':')}"):
                return
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    def _inspect(self, reference: str) -> dict[str, Any] | None:
        try:
            with self._call("GET", f"/images/{quote(reference, safe='/:')}/json") as answer:
                return dict(json.load(answer))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def pull(self, reference: str, first_timeout: float, timeout: float) -> None:
        """Pull an image. Raises TimeoutError after `first_timeout` seconds without an answer, or `timeout` between two.

        Raises ApiError with the engine's message if the registry refuses, or cannot be reached.
        """
        name, _, tag = reference.partition(":")
        path = _path("/images/create", fromImage=name, tag=tag)
        with self._call("POST", path, timeout=first_timeout, then=timeout) as answer:
            _read_events(answer)

    def import_image(self, reference: str, archive: Iterable[bytes], changes: list[str]) -> None:
        """Create an image of one layer from a tar stream. `changes` are Dockerfile instructions."""
        name, _, tag = reference.partition(":")
        path = _path("/images/create", fromSrc="-", repo=name, tag=tag, changes=changes)
        with self._call("POST", path, archive, timeout=600) as answer:
            _read_events(answer)

    def build(self, reference: str, context: bytes, labels: Mapping[str, str], arguments: Mapping[str, str]) -> None:
        """Build an image from a tar archive with a Dockerfile, on the host's network. Raises ApiError."""
        path = _path(
            "/build",
            t=reference,
            networkmode="host",
            labels=json.dumps(dict(labels)),
            buildargs=json.dumps(dict(arguments)),
            rm="1",
            forcerm="1",
        )
        with self._call("POST", path, [context], timeout=600) as answer:
            _read_events(answer)

    @contextmanager
    def _call(
        self,
        method: str,
        path: str,
        body: Iterable[bytes] | None = None,
        timeout: float = 30,
        then: float | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        connection = self._connection(timeout)
        try:
            headers = {"Content-Type": "application/x-tar"} if body is not None else {}
            connection.request(method, path, body=body, headers=headers, encode_chunked=body is not None)
            # Saved, because the connection drops its socket when an answer says that it is the last one.
            open_socket: socket.socket = connection.sock
            answer = connection.getresponse()
            if answer.status >= 400:
                raise ApiError(answer.status, _message(answer.read()))
            open_socket.settimeout(then or timeout)
            yield answer
        finally:
            connection.close()

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        if self.address.startswith("unix://"):
            return _UnixConnection(self.address.removeprefix("unix://"), timeout)
        parts = urlsplit(self.address)
        host = parts.hostname or "localhost"
        if self._environment.get("DOCKER_TLS_VERIFY") or parts.scheme == "https":
            return http.client.HTTPSConnection(host, parts.port or 2376, timeout=timeout, context=self._tls())
        return http.client.HTTPConnection(host, parts.port or 2375, timeout=timeout)

    def _tls(self) -> ssl.SSLContext:
        folder = Path(self._environment.get("DOCKER_CERT_PATH") or Path.home() / ".docker")
        authority = folder / "ca.pem"
        context = ssl.create_default_context(cafile=str(authority) if authority.exists() else None)
        if (folder / "cert.pem").exists():
            context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        return context


def _path(path: str, **query: str | list[str]) -> str:
    return f"{path}?{urlencode(query, doseq=True)}"


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")


def _read_events(answer: http.client.HTTPResponse) -> None:
    """Read a stream of JSON lines to its end. The engine reports late errors in the stream, after status 200."""
    output: list[str] = []
    for line in answer:
        try:
            event: dict[str, Any] = json.loads(line)
        except ValueError:
            continue
        if "error" in event:
            raise ApiError(500, "".join([*output[-40:], str(event["error"])]))
        output.append(str(event.get("stream") or ""))

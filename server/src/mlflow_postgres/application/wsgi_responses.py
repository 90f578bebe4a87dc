"""An answer of MLflow's Flask application handed to the event loop at once, and not in three steps.

For its status, its body and its end the thread that made it waits for the loop each time, and the loop for the thread:
a third of a millisecond, much of what a small request takes outside of MLflow's own code.
"""

import importlib
from collections.abc import Iterable
from typing import Any

import anyio.from_thread
import mlflow
from starlette.types import Message

from ..replacement import replace

READ = {"3.17.2"}
"""Versions of MLflow whose own way has been read. No other's is replaced."""


def install() -> None:
    if mlflow.__version__ in READ:
        server = importlib.import_module("mlflow.server.fastapi_app")
        replace(server._EfficientWSGIResponder, wsgi=wsgi)


def wsgi(responder: Any, environ: dict[str, object], _: object) -> None:
    """Run a WSGI application in this thread, and send what it answers from the loop's."""
    held: list[Message] = []

    async def send_all() -> None:
        for message in held:
            await responder.stream_send.send(message)

    def start_response(status: str, headers: Iterable[tuple[str, str]], exc_info: object = None) -> None:
        responder.exc_info = exc_info
        if not responder.response_started:
            responder.response_started = True
            held.append(start(status, headers))

    missing: int | None = None
    for chunk in responder.app(environ, start_response):
        if missing is None and held and held[0]["type"] == "http.response.start":
            missing = length(held[0]["headers"])
        held.append({"type": "http.response.body", "body": chunk, "more_body": True})
        if missing is not None:
            missing -= len(chunk)
        # An answer without an end that is known is sent as it comes.
        if missing is None or missing > 0:
            anyio.from_thread.run(send_all)
            held.clear()
    held.append({"type": "http.response.body", "body": b""})
    anyio.from_thread.run(send_all)


def start(status: str, headers: Iterable[tuple[str, str]]) -> Message:
    """The first message of an answer."""
    return {
        "type": "http.response.start",
        "status": int(status.partition(" ")[0]),
        "headers": [(name.strip().lower().encode("ascii"), value.strip().encode("ascii")) for name, value in headers],
    }


def length(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    """Bytes of a body, where they are known beforehand."""
    return next((int(value) for name, value in headers if name == b"content-length"), None)

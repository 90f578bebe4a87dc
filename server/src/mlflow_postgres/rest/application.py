"""The ASGI application in front of MLflow's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from fastapi import FastAPI
from mlflow.server.fastapi_security import init_fastapi_security
from mlflow.utils.workspace_utils import WORKSPACE_HEADER_NAME
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .arguments import Arguments, OfTrace
from .calls import Route, Routes
from .database import Database
from .errors import Lost, NotServed
from .exports import Export

_WORKSPACE = WORKSPACE_HEADER_NAME.lower().encode()
_JSON = {b"application/json", b"application/json; charset=utf-8"}
_LOST = (
    b'{"error_code":"TEMPORARILY_UNAVAILABLE","message":"The connection to the database ended. '
    b'The call may have been carried out or not."}'
)


class Permitted(NamedTuple):
    """What the sender of a request may do."""

    arguments: Arguments
    """What the sender may ask for."""
    is_whole: Callable[[bytes], bool]
    """Whether the sender may see all of an answer. Calls of which some may not be seen have changed nothing."""


class Permissions(Protocol):
    """Who may do what."""

    async def permit(self, database: Database, scope: Scope, body: bytes, arguments: Arguments) -> Permitted:
        """Raises `NotServed` if the sender may ask for nothing."""


class Application:
    """Answers some calls itself, behind MLflow's own checks of host and origin. MLflow gets every other request."""

    def __init__(self, mlflow: ASGIApp, database: Database, permissions: Permissions | None = None) -> None:
        self._mlflow = mlflow
        self._database = database
        self._permissions = permissions
        self._routes = Routes()
        self._secured = _secured(self._answer)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            async with self._database:
                await self._mlflow(scope, receive, send)
        elif scope["type"] == "http" and self._routes.find(scope["method"], scope["path"]):
            incoming = _Incoming(receive)
            # Not in the `except` clause: MLflow's errors would be logged with those of the database, which quote rows.
            if not await self._is_served(scope, incoming, send):
                await self._mlflow(scope, incoming.again(), send)
        else:
            await self._mlflow(scope, receive, send)

    async def _is_served(self, scope: Scope, receive: Receive, send: Send) -> bool:
        try:
            await self._secured(scope, receive, send)
        except NotServed:
            return False
        return True

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._routes.find(scope["method"], scope["path"])
        assert found is not None, "this is a call"
        route, trace_id = found
        if not (_is_plain(scope, route) and await self._database.is_compared()):
            raise NotServed
        body = await _body(receive)
        arguments = route.call.arguments(scope["query_string"], body)
        if isinstance(arguments, OfTrace):
            arguments.place(trace_id)
        if isinstance(arguments, Export):
            # MLflow authorises it in its middleware, not in Flask.
            if self._permissions:
                raise NotServed
            arguments.take(scope["headers"])
        permitted = (
            await self._permissions.permit(self._database, scope, body, arguments) if self._permissions else None
        )
        try:
            answer = await route.call.answer(self._database, permitted.arguments if permitted else arguments)
        except Lost:
            await _send(send, scope, route, 503, b"application/json", _LOST)
            return
        if permitted and not permitted.is_whole(answer):
            raise NotServed
        await _send(send, scope, route, 200, route.call.media_type, answer)


class _Incoming:
    """What a request receives. MLflow can receive it again."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._messages: list[Message] = []

    async def __call__(self) -> Message:
        message = await self._receive()
        self._messages.append(message)
        return message

    def again(self) -> Receive:
        messages = iter(self._messages)

        async def receive() -> Message:
            return next(messages, None) or await self._receive()

        return receive


def _secured(application: ASGIApp) -> ASGIApp:
    """The application behind the checks of host and origin that MLflow puts in front of its own."""
    with_checks = FastAPI()
    init_fastapi_security(with_checks)  # MLflow's own
    for middleware in reversed(with_checks.user_middleware):
        application = middleware.cls(application, *middleware.args, **middleware.kwargs)
    return application


def _is_plain(scope: Scope, route: Route) -> bool:
    """Whether the headers say nothing that only MLflow understands."""
    types = [value for name, value in scope["headers"] if name == b"content-type"]
    is_json = len(types) == 1 and types[0] in _JSON
    is_other = scope["method"] == "GET" or route.call.media_type not in _JSON
    return (is_other or is_json) and all(name != _WORKSPACE for name, _ in scope["headers"])


async def _body(receive: Receive) -> bytes:
    """Raises `NotServed` if the client goes away."""
    chunks = []
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise NotServed
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _send(send: Send, scope: Scope, route: Route, status: int, media_type: bytes, body: bytes) -> None:
    scope["route"] = route
    headers = [(b"content-type", media_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

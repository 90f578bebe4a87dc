"""A whole answer of MLflow's server is handed over at once, and another as it comes."""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable, Coroutine, Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import anyio.from_thread
import mlflow
import pytest

from mlflow_postgres.application import wsgi_responses
from mlflow_postgres.application.wsgi_responses import length, start, wsgi

Headers = list[tuple[str, str]]
Message = dict[str, Any]


def at_once(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run what waits for nothing, without an event loop."""
    with pytest.raises(StopIteration):
        coroutine.send(None)


class Responder:
    """What is used of Starlette's: its way to the loop keeps what was handed over each time that it was taken."""

    response_started = False
    exc_info: Any = None

    def __init__(self, app: Any) -> None:
        self.app = app
        self.stream_send = self
        self.handed: list[list[Message]] = []

    def run(self, function: Callable[..., Coroutine[Any, Any, None]], *arguments: Any) -> None:
        self.handed.append([])
        at_once(function(*arguments))

    async def send(self, message: Message) -> None:
        self.handed[-1].append(message)

    def messages(self) -> list[Message]:
        return [message for each in self.handed for message in each]


Respond = Callable[[Any], Responder]


@pytest.fixture
def respond(monkeypatch: pytest.MonkeyPatch) -> Respond:
    def respond(app: Any) -> Responder:
        responder = Responder(app)
        monkeypatch.setattr(anyio.from_thread, "run", responder.run)
        wsgi(responder, {}, None)
        return responder

    return respond


def answering(chunks: Iterable[bytes], *headers: tuple[str, str]) -> Any:
    def app(_: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", list(headers))
        return chunks

    return app


def answering_late(chunks: Iterable[bytes], *headers: tuple[str, str]) -> Any:
    def app(_: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", list(headers))
        yield from chunks

    return app


def of_length(number: int) -> tuple[str, str]:
    return "Content-Length", str(number)


ANSWERS = [
    ([b"hello"], [of_length(5)], [3]),
    ([b"hello", b""], [of_length(5)], [4]),
    ([b""], [of_length(0)], [3]),
    ([], [of_length(0)], [2]),
    ([], [of_length(5)], [2]),
    ([b"hel", b"lo"], [of_length(5)], [2, 2]),
    ([b"h", b"el", b"lo"], [of_length(5)], [2, 1, 2]),
    ([b"hello"], [], [2, 1]),
    ([b"h", b"", b"ello"], [], [2, 1, 1, 1]),
    ([], [], [2]),
]
NAMES = [
    *(
        "a whole answer",
        "a chunk after the whole",
        "an empty answer",
        "no chunk",
        "the answer to HEAD",
        "two chunks",
        "three chunks",
    ),
    *("a chunk without a length", "chunks without a length", "nothing without a length"),
]


@pytest.mark.parametrize("app", [answering, answering_late])
@pytest.mark.parametrize(("chunks", "headers", "sizes"), ANSWERS, ids=NAMES)
def test_an_answer_is_handed_over_as_often_as_it_must_be(
    respond: Respond, app: Any, chunks: list[bytes], headers: Headers, sizes: list[int]
) -> None:
    responder = respond(app(chunks, *headers))
    assert [len(each) for each in responder.handed] == sizes
    assert responder.messages() == [
        start("200 OK", headers),
        *({"type": "http.response.body", "body": chunk, "more_body": True} for chunk in chunks),
        {"type": "http.response.body", "body": b""},
    ]
    assert responder.response_started


@pytest.mark.parametrize("app", [answering, answering_late])
@pytest.mark.parametrize(("chunks", "headers", "sizes"), ANSWERS, ids=NAMES)
def test_the_messages_are_those_of_starlette(
    respond: Respond, monkeypatch: pytest.MonkeyPatch, app: Any, chunks: list[bytes], headers: Headers, sizes: list[int]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Starlette advises against its own, which MLflow's is made of.
        from starlette.middleware.wsgi import WSGIResponder

    starlette: Any = WSGIResponder
    made = app(chunks, *headers, (" X-Name ", " Value "))
    responder = respond(made)
    other = Responder(made)
    monkeypatch.setattr(anyio.from_thread, "run", other.run)
    starlette.wsgi(other, {}, functools.partial(starlette.start_response, other))
    assert responder.messages() == other.messages()
    assert len(other.handed) == len(chunks) + 2 > len(sizes)


def test_an_answer_without_a_known_end_is_sent_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[bytes]] = []

    def chunks() -> Iterator[bytes]:
        for chunk in (b"a", b"b", b"c"):
            seen.append([message["body"] for message in responder.messages()[1:]])
            yield chunk

    responder = Responder(answering(chunks()))
    monkeypatch.setattr(anyio.from_thread, "run", responder.run)
    wsgi(responder, {}, None)
    assert seen == [[], [b"a"], [b"a", b"b"]]


def test_an_application_gets_the_environment_of_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[dict[str, Any]] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        given.append(environ)
        start_response("204 NO CONTENT", [])
        return []

    responder = Responder(app)
    monkeypatch.setattr(anyio.from_thread, "run", responder.run)
    environ: dict[str, object] = {"PATH_INFO": "/health"}
    wsgi(responder, environ, None)
    assert given == [environ]
    assert responder.messages()[0]["status"] == 204


def test_an_answer_begins_once_and_what_went_wrong_is_kept(respond: Respond) -> None:
    def app(_: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [of_length(2)])
        start_response("500 INTERNAL SERVER ERROR", [of_length(2)], ("what", "went", "wrong"))
        return [b"no"]

    responder = respond(app)
    assert [message.get("status") for message in responder.messages()] == [200, None, None]
    assert responder.exc_info == ("what", "went", "wrong")


def test_what_an_application_raises_is_raised_and_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    def app(_: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [of_length(2)])
        raise ValueError("wrong")

    responder = Responder(app)
    monkeypatch.setattr(anyio.from_thread, "run", responder.run)
    with pytest.raises(ValueError, match="wrong"):
        wsgi(responder, {}, None)
    assert responder.handed == []


@pytest.mark.parametrize(
    ("status", "number"), [("200 OK", 200), ("404 NOT FOUND", 404), ("304", 304)], ids=["one word", "two", "none"]
)
def test_the_first_message_has_the_number_of_the_status(status: str, number: int) -> None:
    assert start(status, []) == {"type": "http.response.start", "status": number, "headers": []}


def test_the_first_message_has_the_headers_in_their_order() -> None:
    headers = [("Set-Cookie", "B=2"), (" X-Name ", " A Value "), ("Set-Cookie", "A=1")]
    assert start("200 OK", headers)["headers"] == [
        (b"set-cookie", b"B=2"),
        (b"x-name", b"A Value"),
        (b"set-cookie", b"A=1"),
    ]


@pytest.mark.parametrize(
    ("headers", "number"),
    [
        ([("Content-Length", "12")], 12),
        ([("CONTENT-LENGTH", "0")], 0),
        ([("Content-Type", "text/plain"), ("content-length", " 7 ")], 7),
        ([("Content-Type", "text/plain"), ("X-Content-Length", "7")], None),
        ([], None),
    ],
    ids=["known", "zero", "after others", "another header", "no header"],
)
def test_the_length_of_an_answer_is_that_of_its_header(headers: Headers, number: int | None) -> None:
    assert length(start("200 OK", headers)["headers"]) == number


@pytest.mark.parametrize("is_read", [True, False], ids=["a version that was read", "another version"])
def test_only_the_way_of_a_version_that_was_read_is_replaced(monkeypatch: pytest.MonkeyPatch, is_read: bool) -> None:
    """MLflow's own module needs Flask; a stand-in has the one class in which something is replaced."""
    mlflows = object()
    responder = SimpleNamespace(wsgi=mlflows)
    server: Any = SimpleNamespace(fastapi_app=SimpleNamespace(_EfficientWSGIResponder=responder))
    monkeypatch.setitem(sys.modules, "mlflow.server", server)
    monkeypatch.setitem(sys.modules, "mlflow.server.fastapi_app", server.fastapi_app)
    monkeypatch.setattr(mlflow, "server", server, raising=False)
    monkeypatch.setattr(wsgi_responses, "READ", {mlflow.__version__} if is_read else {"0"})
    wsgi_responses.install()
    assert responder.wsgi is (wsgi if is_read else mlflows)

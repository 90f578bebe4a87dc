"""Requests go past those of MLflow's middlewares that do nothing for them, and past no other."""

from __future__ import annotations

import functools
import sys
from collections.abc import Coroutine
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import mlflow
import pytest
from starlette.middleware.base import BaseHTTPMiddleware

from mlflow_postgres.application import idle_middleware

TIMING, WORKSPACE = "gateway_timing_middleware", "workspace_context_middleware"
PERMISSION = "fastapi_permission_middleware"
HEADER = (b"x-mlflow-workspace", b"theirs")


def at_once(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run what waits for nothing, without an event loop."""
    with pytest.raises(StopIteration):
        coroutine.send(None)


def named(name: str) -> Any:
    async def dispatch(_: Any, __: Any) -> Any:
        raise AssertionError("only the middleware's own way comes here")

    dispatch.__name__ = name
    return dispatch


class Passing:
    """An application behind a middleware whose own way is a fake one; which of both got the request is kept."""

    def __init__(self) -> None:
        self.got: list[tuple[str, Any, Any, Any]] = []

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        self.got.append(("application", scope, receive, send))

    def way(self, dispatch: Any, **changes: Any) -> str:
        """Who gets a request first: the middleware or, past it, the application."""
        scope = {"type": "http", "path": "/api/2.0/mlflow/runs/search", "headers": [(b"host", b"h")]} | changes
        receive, send = object(), object()
        middleware: Any = BaseHTTPMiddleware(self.app, dispatch)
        at_once(middleware(scope, receive, send))
        ((who, *given),) = self.got
        self.got.clear()
        assert [id(each) for each in given] == [id(scope), id(receive), id(send)], "it is handed on as it came"
        return who


def make_passing(monkeypatch: pytest.MonkeyPatch) -> Passing:
    passing = Passing()

    async def call(_: Any, scope: Any, receive: Any, send: Any) -> None:
        passing.got.append(("middleware", scope, receive, send))

    monkeypatch.setattr(BaseHTTPMiddleware, "__call__", call)
    monkeypatch.setattr(idle_middleware, "READ", {mlflow.__version__})
    monkeypatch.delenv("MLFLOW_ENABLE_WORKSPACES", raising=False)
    idle_middleware.install()
    return passing


@pytest.fixture
def passing(monkeypatch: pytest.MonkeyPatch) -> Passing:
    return make_passing(monkeypatch)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        (TIMING, {}),
        (TIMING, {"headers": [HEADER]}),
        (TIMING, {"path": "/gateway"}),
        (WORKSPACE, {}),
        (WORKSPACE, {"path": "/gateway/chat/mlflow/invocations"}),
        (WORKSPACE, {"headers": []}),
    ],
)
def test_a_request_goes_past_a_middleware_that_does_nothing_for_it(
    passing: Passing, name: str, changes: dict[str, Any]
) -> None:
    assert passing.way(named(name), **changes) == "application"


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        (TIMING, {"path": "/gateway/chat/mlflow/invocations"}),
        (TIMING, {"path": "/a-prefix/gateway/chat/mlflow/invocations"}),
        (TIMING, {"type": "websocket"}),
        (WORKSPACE, {"headers": [HEADER]}),
        (WORKSPACE, {"headers": [(b"host", b"h"), HEADER]}),
        (WORKSPACE, {"type": "websocket"}),
        ("another_middleware", {}),
    ],
)
def test_a_request_that_a_middleware_is_for_goes_through_it(
    passing: Passing, name: str, changes: dict[str, Any]
) -> None:
    assert passing.way(named(name), **changes) == "middleware"


def test_where_there_are_workspaces_every_request_gets_its_own(
    passing: Passing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ENABLE_WORKSPACES", "true")
    assert passing.way(named(WORKSPACE)) == "middleware"
    assert passing.way(named(TIMING)) == "application"


def test_a_middleware_without_a_name_is_gone_through(passing: Passing) -> None:
    assert passing.way(functools.partial(named(TIMING))) == "middleware"
    assert passing.way(None) == "middleware"


def test_the_middlewares_of_another_version_are_left_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    original = BaseHTTPMiddleware.__call__
    monkeypatch.setattr(BaseHTTPMiddleware, "__call__", original)
    monkeypatch.setattr(idle_middleware, "READ", {"0"})
    idle_middleware.install()
    assert BaseHTTPMiddleware.__call__ is original


@pytest.mark.parametrize(
    ("file", "definition"),
    [
        ("fastapi_app.py", f"{TIMING}(request: Request, call_next)"),
        ("fastapi_app.py", f"{WORKSPACE}(request: Request, call_next)"),
        ("auth/__init__.py", f"{PERMISSION}(request, call_next)"),
    ],
)
def test_mlflow_has_a_middleware_of_the_name(file: str, definition: str) -> None:
    source = (Path(mlflow.__file__).parent / "server" / file).read_text()
    assert f"    async def {definition}:\n" in source


@pytest.mark.parametrize(("elsewhere", "who"), [(True, "application"), (False, "middleware")])
def test_a_request_goes_past_sign_ins_middleware_where_flask_asks_who_it_is_from(
    monkeypatch: pytest.MonkeyPatch, elsewhere: bool, who: str
) -> None:
    monkeypatch.setattr(idle_middleware, "is_asked_elsewhere", lambda _: elsewhere)
    assert make_passing(monkeypatch).way(named(PERMISSION)) == who


@contextmanager
def _asked_by(validator: Any, fail_closed: bool, monkeypatch: pytest.MonkeyPatch) -> Any:
    paths: list[tuple[str, str]] = []

    def find(path: str, method: str) -> Any:
        paths.append((path, method))
        return validator

    module: Any = ModuleType("mlflow.server.auth")
    module.get_routed_asgi_path = lambda request: request.scope["path"]
    module._find_fastapi_validator = find
    module.MLFLOW_BASIC_AUTH_FAIL_CLOSED = SimpleNamespace(get=lambda: fail_closed)
    monkeypatch.setitem(sys.modules, "mlflow.server.auth", module)
    yield paths


@pytest.mark.parametrize(
    ("validator", "fail_closed", "elsewhere"),
    [(None, False, True), (object(), False, False), (None, True, False), (object(), True, False)],
)
def test_a_request_goes_past_sign_ins_middleware_only_where_that_would_pass_it_on_at_once(
    monkeypatch: pytest.MonkeyPatch, validator: Any, fail_closed: bool, elsewhere: bool
) -> None:
    scope = {"type": "http", "path": "/api/2.0/mlflow/runs/get", "method": "GET", "headers": []}
    with _asked_by(validator, fail_closed, monkeypatch) as paths:
        assert idle_middleware.is_asked_elsewhere(scope) is elsewhere
    assert paths == [("/api/2.0/mlflow/runs/get", "GET")]


@pytest.mark.parametrize(
    "line",
    [
        "def _find_fastapi_validator(\n",
        "        path = get_routed_asgi_path(request)\n",
        "        if validator is None:\n",
        "                MLFLOW_BASIC_AUTH_FAIL_CLOSED.get()\n",
    ],
)
def test_mlflows_sign_in_asks_the_same_questions(line: str) -> None:
    assert line in (Path(mlflow.__file__).parent / "server" / "auth" / "__init__.py").read_text()

"""Whether a request is an administrator's is asked in one look, at each request, and else of MLflow itself."""

from __future__ import annotations

import importlib
import sys
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import mlflow
import pytest

from mlflow_postgres.application import administrators, idle_middleware


class DatabaseError(Exception):
    """A stand-in for SQLAlchemy's."""


class Connection:
    """A stand-in for SQLAlchemy's, of a table of users."""

    def __init__(self, users: dict[str, bool]) -> None:
        self._users = users

    def execution_options(self, isolation_level: str) -> Connection:
        assert isolation_level == "AUTOCOMMIT"
        return self

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def execute(self, question: str, values: dict[str, str]) -> Any:
        if values["username"] == "lost":
            raise DatabaseError
        assert question == "SELECT is_admin FROM users WHERE username = :username"
        found = self._users.get(values["username"])
        return SimpleNamespace(one_or_none=lambda: None if found is None else (found,))


class SignIn(ModuleType):
    """A stand-in for MLflow's module of sign-in."""

    def __init__(self) -> None:
        super().__init__("mlflow.server.auth")
        self.users = {"admin": True, "guest": False}
        self.store = SimpleNamespace(engine=SimpleNamespace(connect=lambda: Connection(self.users)))
        self.username = "admin"
        self.asked: list[str] = []

    def authenticate_request(self) -> Any:
        return SimpleNamespace(username=self.username)

    def sender_is_admin(self) -> bool:
        self.asked.append(self.username)
        raise LookupError(self.username)


@pytest.fixture
def sign_in(monkeypatch: pytest.MonkeyPatch) -> SignIn:
    module = SignIn()
    monkeypatch.setitem(sys.modules, "mlflow.server.auth", module)
    database: Any = SimpleNamespace(text=str, exc=SimpleNamespace(SQLAlchemyError=DatabaseError))
    monkeypatch.setattr(administrators, "sqlalchemy", database)
    return module


@pytest.mark.parametrize(("username", "is_admin"), [("admin", True), ("guest", False)])
def test_who_is_an_administrator_is_known_without_mlflows_own_look(
    sign_in: SignIn, username: str, is_admin: bool
) -> None:
    administrators.shorten(sign_in)
    sign_in.username = username
    assert bool(sign_in.sender_is_admin()) is is_admin
    assert sign_in.asked == []


def test_it_is_asked_at_each_request(sign_in: SignIn) -> None:
    administrators.shorten(sign_in)
    assert sign_in.sender_is_admin()
    sign_in.users["admin"] = False
    assert not sign_in.sender_is_admin()


@pytest.mark.parametrize("username", ["nobody", "lost"])
def test_nobody_of_that_name_and_a_lost_database_are_mlflows_to_put_into_words(sign_in: SignIn, username: str) -> None:
    administrators.shorten(sign_in)
    sign_in.username = username
    with pytest.raises(LookupError):
        sign_in.sender_is_admin()


@pytest.mark.parametrize(("version", "is_shortened"), [(mlflow.__version__, True), ("0", False)])
def test_it_is_shortened_when_the_application_is_made_and_in_a_known_version_alone(
    sign_in: SignIn, monkeypatch: pytest.MonkeyPatch, version: str, is_shortened: bool
) -> None:
    server: Any = SimpleNamespace(create_fastapi_app=lambda *given: given)
    modules = {"mlflow.server.fastapi_app": server}
    monkeypatch.setattr(importlib, "import_module", modules.__getitem__)
    monkeypatch.setattr(administrators, "READ", {version})
    administrators.install()
    assert "sender_is_admin" not in vars(sign_in)
    assert server.create_fastapi_app("app") == ("app",)
    assert ("sender_is_admin" in vars(sign_in)) is is_shortened


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
        "def sender_is_admin():\n",
        "    if sender_is_admin():\n",
        "        fastapi_app = create_fastapi_app(app)\n",
        "def _find_fastapi_validator(\n",
        "        path = get_routed_asgi_path(request)\n",
        "        if validator is None:\n",
        "                MLFLOW_BASIC_AUTH_FAIL_CLOSED.get()\n",
    ],
)
def test_mlflows_sign_in_has_what_is_made_shorter(line: str) -> None:
    assert line in (Path(mlflow.__file__).parent / "server" / "auth" / "__init__.py").read_text()

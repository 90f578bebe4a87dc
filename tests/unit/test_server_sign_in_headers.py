"""A header that names nobody is none; one that may name somebody is MLflow's to judge."""

from __future__ import annotations

import importlib
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from images.mlflow import store


@pytest.fixture
def headers(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setitem(sys.modules, "store", store)
    return importlib.import_module("images.mlflow.sign_in_headers")


def basic(username: str | None, password: str | None) -> Any:
    return SimpleNamespace(type="basic", username=username, password=password)


@pytest.mark.parametrize(
    ("authorization", "somebody"),
    [
        (None, False),
        (SimpleNamespace(type="bearer", username=None, password=None), False),
        (SimpleNamespace(type="digest", username="admin", password=None), False),
        (basic(None, None), False),
        (basic("", "password"), False),
        (basic("admin", None), False),
        (basic("ad\0min", "password"), False),
        (basic("ad\ud800min", "password"), False),
        (basic("admin", ""), True),
        (basic("admin", "pass\0word"), True),
        (basic("jürgen", "password"), True),
    ],
)
def test_only_a_name_and_a_password_name_somebody(headers: Any, authorization: Any, somebody: bool) -> None:
    assert headers.names_somebody(authorization) is somebody


@pytest.mark.parametrize(("read", "left"), [(None, {}), (basic("admin", "x"), {"HTTP_AUTHORIZATION": "a header"})])
def test_a_header_that_names_nobody_is_taken_away_before_mlflow_reads_it(
    headers: Any, monkeypatch: pytest.MonkeyPatch, read: Any, left: dict[str, str]
) -> None:
    registered: list[Any] = []
    environ = {"HTTP_AUTHORIZATION": "a header"}
    server = SimpleNamespace(app=SimpleNamespace(before_request=registered.append))
    monkeypatch.setitem(sys.modules, "mlflow.server", server)
    monkeypatch.setattr("mlflow.server", server, raising=False)
    monkeypatch.setitem(sys.modules, "flask", SimpleNamespace(request=SimpleNamespace(environ=environ)))
    parser = SimpleNamespace(Authorization=SimpleNamespace(from_header=lambda given: given and read))
    monkeypatch.setitem(sys.modules, "werkzeug.datastructures", parser)
    headers.install()
    registered[0]()
    assert environ == left

"""What our application lets through to MLflow, and how both of them write an answer."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from mlflow_postgres.rest import database
from mlflow_postgres.rest.application import Application
from mlflow_postgres.rest.database import Database
from mlflow_postgres.rest.errors import NotServed

from ..postgresql import Server
from .sides import Request, Sides

EXPERIMENT = "/api/2.0/mlflow/experiments/get"
RUN = {"experiment_id": "0", "run_name": "run"}


def create(body: Any = RUN, **headers: str) -> Request:
    return Request(
        "POST", "/api/2.0/mlflow/runs/create", body, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


@pytest.mark.parametrize("origin", ["http://localhost:5000", "http://127.0.0.1", "https://evil.example", "null", ""])
@pytest.mark.parametrize("host", ["localhost:5000", "10.1.2.3", "evil.example", ""])
def test_host_and_origin_are_checked_as_mlflow_does(sides: Sides, host: str, origin: str) -> None:
    sides.ask(create(host=host, origin=origin))
    sides.ask(Request("GET", EXPERIMENT, query={"experiment_id": 0}, headers={"host": host, "origin": origin}))
    preflight = {"host": host, "origin": origin, "access-control-request-method": "POST"}
    sides.ask(Request("OPTIONS", EXPERIMENT, headers=preflight))
    sides.compare_rows()


@pytest.mark.parametrize(
    ("is_plain", "headers"),
    [
        (True, {"content-type": "application/json"}),
        (True, {"content-type": "application/json; charset=utf-8"}),
        (False, {"content-type": "application/json;charset=latin-1"}),
        (False, {"content-type": "text/plain"}),
        (False, {"content-type": ""}),
        (False, {"x-mlflow-workspace": ""}),
        (False, {"x-mlflow-workspace": "default"}),
        (False, {"x-mlflow-workspace": "theirs"}),
        (True, {"authorization": "Basic bWU6c2VjcmV0"}),
        (True, {"accept": "text/html", "accept-encoding": "gzip", "cookie": "a=b"}),
    ],
)
def test_headers_that_only_mlflow_understands(sides: Sides, is_plain: bool, headers: dict[str, str]) -> None:
    assert sides.is_served(create(**headers)) == is_plain
    sides.compare_rows()


@pytest.mark.parametrize(
    ("is_plain", "method", "path"),
    [
        (True, "GET", "/api/2.0/mlflow/experiments/get"),
        (True, "GET", "/ajax-api/2.0/mlflow/experiments/get"),
        (False, "GET", "/api/2.0/mlflow/experiments/get/"),
        (False, "GET", "/api/2.0//mlflow/experiments/get"),
        (False, "GET", "/api/3.0/mlflow/experiments/get"),
        (False, "HEAD", "/api/2.0/mlflow/experiments/get"),
        (False, "POST", "/api/2.0/mlflow/experiments/get"),
        (False, "PUT", "/api/2.0/mlflow/experiments/get"),
        (False, "OPTIONS", "/api/2.0/mlflow/experiments/get"),
        (False, "GET", "/api/2.0/mlflow/runs/create"),
        (False, "GET", "/health"),
        (False, "GET", "/version"),
    ],
)
def test_paths_and_methods_are_those_of_mlflow(sides: Sides, is_plain: bool, method: str, path: str) -> None:
    assert sides.is_served(Request(method, path, query={"experiment_id": "0"})) == is_plain


def test_the_figures_of_the_server_know_the_route_of_a_call(sides: Sides) -> None:
    path = "/ajax-api/2.0/mlflow/experiments/get"
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": path, "query_string": b"experiment_id=0"}
    scope["headers"] = [(b"host", b"localhost")]
    sent = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    sides.run(sides.application(scope, receive, send))
    assert sent == ["http.response.start", "http.response.body"]
    assert scope["route"].path == path


def test_a_query_beside_a_body_is_mlflows(sides: Sides) -> None:
    assert not sides.is_served(Request("POST", "/api/2.0/mlflow/runs/create", RUN, query={"run_name": "other"}))
    sides.compare_rows()


def test_a_schema_that_was_not_compared_is_mlflows_alone(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "COMPARED", {("3.17.2", "another")})
    monkeypatch.setattr(sides.pool, "_is_compared", None)
    monkeypatch.setattr(sides.pool, "_next_attempt", 0.0)
    assert not sides.is_served(create())
    monkeypatch.undo()
    assert sides.is_served(create())


def test_without_a_database_mlflow_answers(sides: Sides) -> None:
    """At once, though not before the first attempt: MLflow says in its words that there is none."""
    asked: list[str] = []

    async def mlflow(scope: Any, *_: Any) -> None:
        asked.append(scope["path"])

    async def nothing(*_: Any) -> Any:
        raise AssertionError("neither of them has a use for it")

    async def ask() -> None:
        pool = Database("host=/nowhere", 1, patience=0.1)
        async with pool:
            scope = {"type": "http", "method": "GET", "path": EXPERIMENT, "query_string": b"experiment_id=0"}
            headers = [(b"host", b"localhost")]
            await Application(mlflow, pool)(scope | {"headers": headers}, nothing, nothing)

    sides.run(ask())
    assert asked == [EXPERIMENT]


def test_a_write_whose_connection_ends_is_not_repeated(sides: Sides) -> None:
    sides.execute(
        "CREATE FUNCTION end_connection() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END'",
        "CREATE TRIGGER ending BEFORE INSERT ON runs FOR EACH ROW EXECUTE FUNCTION end_connection()",
    )
    try:
        status, behind = sides.ask_ours(create())
    finally:
        sides.execute("DROP TRIGGER ending ON runs", "DROP FUNCTION end_connection")
    assert (status, behind) == (503, 0), "MLflow would make a second run if the first is there"
    assert sides.is_served(create()), "another connection takes its place"
    sides.compare_rows()


def test_a_connection_that_ended_while_nobody_used_it_is_replaced(sides: Sides) -> None:
    assert sides.is_served(create())
    sides.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        " AND datname = current_database()"
    )
    assert sides.is_served(create())
    sides.compare_rows()


def test_a_database_that_was_away_for_long_is_used_again_at_once(
    sides: Sides, postgresql: Server, schema: str, tmp_path: Path
) -> None:
    way = tmp_path / "way"
    way.symlink_to(postgresql.folder)

    async def use() -> None:
        conninfo = f"postgresql://postgres@/{schema}?host={way}&application_name=away"
        async with Database(conninfo, 1, patience=0.1) as pool:
            await pool.read("SELECT 1", {})
            way.unlink()
            sides.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'away'")
            back = time.monotonic() + 4
            while time.monotonic() < back:
                with pytest.raises(NotServed):
                    await pool.read("SELECT 1", {})
            way.symlink_to(postgresql.folder)
            async with asyncio.timeout(2):
                while True:
                    with suppress(NotServed):
                        await pool.read("SELECT 1", {})
                        return

    sides.run(use())

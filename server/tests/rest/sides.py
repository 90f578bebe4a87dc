"""MLflow alone and our application in front of it, each on its own copy of one database, asked the same requests."""

from __future__ import annotations

import asyncio
import json
import random
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import httpx
import psycopg
from mlflow.server import fastapi_app, handlers
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from psycopg import sql

from mlflow_postgres.rest.application import Application
from mlflow_postgres.rest.database import Database

from ..postgresql import Server

JSON = {"content-type": "application/json"}
KEYED = {"metrics", "params", "tags"}
"""Lists of an answer that MLflow reads in no order, by the field that the entries are sorted by here."""

Rows = dict[str, list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Request:
    """One request. A body that is no text or bytes is sent as JSON."""

    method: str
    path: str
    body: Any = None
    query: Mapping[str, Any] | str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes | None:
        if self.body is None or isinstance(self.body, bytes):
            return self.body
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: Any


class Side:
    """One of the two, with its own database."""

    def __init__(self, server: Server, database: str, application: Any) -> None:
        self.uri = server.uri(database)
        make: Any = SqlAlchemyStore
        self.store = make(server.store_uri(database), "mlflow-artifacts:/")
        self.application = application

    async def ask(self, request: Request, seed: int) -> Answer:
        """Ids and names that are made up on the way are the same for the same seed."""
        transport = httpx.ASGITransport(app=self.application)
        with mock.patch.object(handlers, "_tracking_store", self.store), _made_up(seed):
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost:5000") as client:
                response = await client.request(
                    request.method,
                    request.path,
                    content=request.content,
                    params=request.query,
                    headers=({} if request.content is None else JSON) | request.headers,
                )
        headers = {name: value for name, value in response.headers.items() if name != "content-length"}
        return Answer(response.status_code, headers, _comparable(response.text))

    def rows(self) -> Rows:
        """Every row of every table, as PostgreSQL writes it: -0.0 is not 0.0."""
        with psycopg.connect(self.uri) as connection:
            names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
            tables = [str(name) for (name,) in names]
            query = sql.SQL("SELECT t::text FROM {} AS t ORDER BY 1")
            return {table: connection.execute(query.format(sql.Identifier(table))).fetchall() for table in tables}

    def execute(self, statements: Sequence[str]) -> None:
        with psycopg.connect(self.uri, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())


class Counted:
    """MLflow behind our application, and how often it was asked."""

    def __init__(self, application: Any) -> None:
        self.application, self.asked = application, 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked += scope["type"] == "http"
        await self.application(scope, receive, send)


class Sides:
    """Both. Raises AssertionError where they differ."""

    def __init__(self, server: Server, databases: tuple[str, str], application: Any = fastapi_app.app) -> None:
        self._runner = asyncio.Runner()
        self._behind = Counted(application)
        self._pool = Database(server.uri(databases[1]), 2)
        self.mlflow = Side(server, databases[0], application)
        self.ours = Side(server, databases[1], Application(self._behind, self._pool))
        self._runner.run(self._pool.__aenter__())
        self._seed = 0
        self.served: dict[str, int] = {}
        self.handed_on: dict[str, int] = {}

    def close(self) -> None:
        for side in (self.mlflow, self.ours):
            side.store._dispose_engine()
        self._runner.run(self._pool.__aexit__(None, None, None))
        self._runner.close()

    def ask(self, request: Request) -> Answer:
        """MLflow's answer, which is also ours."""
        self._seed += 1
        before = self._behind.asked
        expected = self._runner.run(self.mlflow.ask(request, self._seed))
        given = self._runner.run(self.ours.ask(request, self._seed))
        counts = self.served if self._behind.asked == before else self.handed_on
        call = request.path.rpartition("/mlflow/")[2]
        counts[call] = counts.get(call, 0) + 1
        assert given == expected, request
        return expected

    def is_served(self, request: Request) -> bool:
        """Whether our application answers it, and not MLflow behind it."""
        before = self._behind.asked
        self.ask(request)
        return self._behind.asked == before

    def compare_rows(self) -> None:
        expected, given = self.mlflow.rows(), self.ours.rows()
        differing = {table: (expected[table], given[table]) for table in expected if expected[table] != given[table]}
        assert not differing

    def execute(self, *statements: str) -> None:
        for side in (self.mlflow, self.ours):
            side.execute(statements)


@contextmanager
def _made_up(seed: int) -> Iterator[None]:
    chance = random.Random(seed)
    random.seed(seed)
    with mock.patch.object(uuid, "uuid4", lambda: uuid.UUID(int=chance.getrandbits(128), version=4)):
        yield


def _comparable(text: str) -> Any:
    """An answer without what is by chance in it: the order in which rows are found, and the number of a log line."""
    try:
        return _sorted(json.loads(text))
    except ValueError:
        return text


def _sorted(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _sorted(each, key) for key, each in value.items()}
    if isinstance(value, list):
        items = [_sorted(each) for each in value]
        return sorted(items, key=repr) if name in KEYED else items
    if isinstance(value, str):
        return re.sub("under [0-9a-f]{12}", "under NUMBER", value)
    # An integer and the same float are one number to JSON, but 0.0 and -0.0 are not.
    return repr(float(value)) if isinstance(value, float) or value == 0 and not isinstance(value, bool) else value

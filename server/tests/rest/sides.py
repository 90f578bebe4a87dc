"""MLflow alone and our application in front of it, each on its own copy of one database, asked the same requests."""

from __future__ import annotations

import asyncio
import json
import random
import re
import sys
import time
import uuid
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any
from unittest import mock

import httpx
import psycopg
from mlflow.server import fastapi_app, handlers
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as Registry
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from psycopg import sql

from mlflow_postgres.database import stores
from mlflow_postgres.rest.application import Application, Permissions
from mlflow_postgres.rest.database import Database

from ..postgresql import Server

UNORDERED = {
    *("dataset_inputs", "model_inputs", "model_outputs"),
    *("latest_versions", "aliases", "tags", "dataset_summaries", "assessments"),
}
"""Lists that MLflow reads in no order."""
JSON = {"content-type": "application/json"}
Rows = dict[str, list[str]]


@dataclass(frozen=True)
class Request:
    """One request. A body that is no text or bytes is sent as JSON."""

    method: str
    path: str
    body: Any = None
    query: Mapping[str, Any] | Sequence[tuple[str, Any]] | str = ""
    headers: Mapping[str, str] | Sequence[tuple[str, str]] = field(default_factory=dict)

    @property
    def content(self) -> bytes | None:
        if self.body is None or isinstance(self.body, bytes):
            return self.body
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()

    @property
    def all_headers(self) -> httpx.Headers:
        headers = httpx.Headers({} if self.body is None else JSON)
        headers.update(self.headers)
        return headers


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: Any


class Side:
    """One of the two, with its own database."""

    def __init__(self, server: Server, database: str, application: Any, kinds: Sequence[Any], users: Any) -> None:
        """`kinds` are the classes of the stores of runs and of models, `users` those of a sign-in."""
        self._users = users
        tracking, registry = kinds
        self.store = tracking(server.store_uri(database), "mlflow-artifacts:/")
        self.registry = registry(server.store_uri(database))
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=application), base_url="http://localhost:5000", verify=False
        )
        self._connection = psycopg.connect(server.uri(database), autocommit=True)

    async def close(self) -> None:
        await self._client.aclose()
        self._connection.close()
        self.store._dispose_engine()
        self.registry._dispose_engine()

    async def ask(self, request: Request, seed: int) -> Answer:
        """Ids and names that are made up on the way are the same for the same seed."""
        with self._serving(), _made_up(seed), self._signing_in():
            response = await self._client.request(
                request.method,
                request.path,
                content=request.content,
                params=request.query,  # type: ignore[arg-type]  # httpx names a list or a tuple of pairs, not any sequence
                headers=request.all_headers,
            )
        headers = {name: value for name, value in response.headers.items() if name != "content-length"}
        # The latest versions are no page of a search.
        unordered = UNORDERED | ({"model_versions"} if request.path.endswith("/get-latest-versions") else set())
        return Answer(response.status_code, headers, _comparable(response.text, unordered))

    @contextmanager
    def _serving(self) -> Iterator[None]:
        with (
            mock.patch.object(handlers, "_tracking_store", self.store),
            mock.patch.object(handlers, "_model_registry_store", self.registry),
        ):
            yield

    def _signing_in(self) -> AbstractContextManager[object]:
        if self._users is None:
            return nullcontext()
        return mock.patch.object(sys.modules["mlflow.server.auth"], "store", self._users)

    async def ask_at_once(self, requests: Sequence[Request]) -> list[int]:
        """The statuses of the answers."""
        with self._serving():
            asked = [
                self._client.request(each.method, each.path, content=each.content, headers=each.all_headers)
                for each in requests
            ]
            return [response.status_code for response in await asyncio.gather(*asked)]

    def rows(self) -> Rows:
        """Every row of every table, as PostgreSQL writes it: -0.0 is not 0.0."""
        names = self._connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        tables = [str(name) for (name,) in names]
        one = sql.SQL("SELECT {}, t::text FROM {} AS t")
        query = sql.SQL(" UNION ALL ").join(one.format(table, sql.Identifier(table)) for table in tables)
        found: Rows = {table: [] for table in tables}
        for table, row in self._connection.execute(query):
            found[table].append(row)
        return {table: sorted(rows) for table, rows in found.items()}

    def plan(self, statement: str, values: Mapping[str, str]) -> str:
        """How PostgreSQL would read the rows if it had to use an index."""
        with self._connection.transaction():
            self._connection.execute("SET LOCAL enable_seqscan = off")
            rows = self._connection.execute(f"EXPLAIN {statement}".encode(), values)
            return "\n".join(str(row[0]) for row in rows)

    def execute(self, statements: Sequence[str]) -> None:
        for statement in statements:
            self._connection.execute(statement.encode())


class Counted:
    """MLflow behind our application, and how often it was asked."""

    def __init__(self, application: Any) -> None:
        self.application, self.asked = application, 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked += scope["type"] == "http"
        await self.application(scope, receive, send)


class Sides:
    """Both. Raises AssertionError where they differ."""

    def __init__(
        self,
        server: Server,
        databases: tuple[str, str],
        application: Any = fastapi_app.app,
        users: tuple[Any, Any] = (None, None),
        permissions: Permissions | None = None,
    ) -> None:
        # Not a Runner: it leaves this thread without the event loop that other tests use.
        self._loop = asyncio.new_event_loop()
        self._behind = Counted(application)
        self.pool = Database(server.uri(databases[1]), 2)
        self.mlflow = Side(server, databases[0], application, (SqlAlchemyStore, Registry), users[0])
        self.application = Application(self._behind, self.pool, permissions)
        self.ours = Side(server, databases[1], self.application, (stores.Tracking, stores.Registry), users[1])
        self.run(self.pool.__aenter__())
        self._seed = 0
        self.served: dict[str, int] = {}
        self.handed_on: dict[str, int] = {}

    def run(self, awaited: Coroutine[Any, Any, Any]) -> Any:
        """In the event loop that the connections belong to."""
        return self._loop.run_until_complete(awaited)

    def close(self) -> None:
        for side in (self.mlflow, self.ours):
            self.run(side.close())
        self.run(self.pool.__aexit__(None, None, None))
        self._loop.close()

    def ask(self, request: Request) -> Answer:
        """MLflow's answer, which is also ours."""
        self._seed += 1
        before = self._behind.asked
        expected: Answer = self.run(self.mlflow.ask(request, self._seed))
        given = self.run(self.ours.ask(request, self._seed))
        counts = self.served if self._behind.asked == before else self.handed_on
        call = request.path.rpartition("/mlflow/")[2]
        counts[call] = counts.get(call, 0) + 1
        assert given == expected, request
        return expected

    def ask_ours(self, request: Request) -> tuple[int, int]:
        """The status of our answer alone, and how often MLflow was asked behind it."""
        self._seed += 1
        before = self._behind.asked
        answer = self.run(self.ours.ask(request, self._seed))
        return answer.status, self._behind.asked - before

    def is_served(self, request: Request) -> bool:
        """Whether our application answers it, and not MLflow behind it."""
        before = self._behind.asked
        self.ask(request)
        return self._behind.asked == before

    def compare_rows(self) -> None:
        expected, given = self.mlflow.rows(), self.ours.rows()
        differing = {
            table: {
                "MLflow": sorted(set(rows) - set(given[table])),
                "ours": sorted(set(given[table]) - set(rows)),
            }
            for table, rows in expected.items()
            if rows != given[table]
        }
        assert differing == {}

    def execute(self, *statements: str) -> None:
        for side in (self.mlflow, self.ours):
            side.execute(statements)


@contextmanager
def _made_up(seed: int) -> Iterator[None]:
    """A request makes up one id and one name, however often it tries, and knows one time."""
    chosen = random.Random(seed)
    made = uuid.UUID(int=chosen.getrandbits(128), version=4)
    with (
        mock.patch.object(uuid, "uuid4", return_value=made),
        mock.patch.object(time, "time", return_value=1_700_000_000.5 + seed),
        mock.patch.object(random, "choice", lambda options: options[seed % len(options)]),
        mock.patch.object(random, "randint", lambda first, last: first + seed % (last - first + 1)),
    ):
        yield


def _comparable(text: str, unordered: set[str]) -> Any:
    """An answer without what is by chance in it: the order in which rows are found, and the number of a log line."""
    try:
        return _normal(json.loads(text), unordered)
    except ValueError:
        return text


def _normal(value: Any, unordered: set[str], name: str = "") -> Any:
    match value:
        case dict():
            found = {key: _normal(each, unordered, key) for key, each in value.items()}
            return found | (_sorted(value, unordered) if name == "data" else {})
        case list():
            items = [_normal(each, unordered) for each in value]
            return sorted(items, key=repr) if name in unordered else items
        case str():
            return re.sub("under [0-9a-f]{12}", "under NUMBER", value)
        case int() | float() if name == "value":
            # 1 and 1.0 are one number to JSON, but 0.0 and -0.0 are not.
            return repr(float(value))
        case _:
            return value


def _sorted(data: dict[str, Any], unordered: set[str]) -> dict[str, Any]:
    """A run's metrics, parameters and tags, which MLflow reads in no order."""
    return {kind: sorted(_normal(entries, unordered), key=itemgetter("key")) for kind, entries in data.items()}

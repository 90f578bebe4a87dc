"""An HTTP connection to one server that is reused, with a deadline. It checks the status of every answer."""

from __future__ import annotations

import base64
import http.client
import json
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode, urlsplit

API = "/api/2.0/mlflow"
AJAX = "/ajax-api/2.0/mlflow"
TRACES = "/ajax-api/3.0/mlflow/traces"
JSON = {"Content-Type": "application/json"}
NONE: Mapping[str, str] = MappingProxyType({})


class OverLimitError(Exception):
    """The server did not answer before the deadline."""


class WrongAnswerError(Exception):
    """The server gave a wrong answer. The message says which."""


class Connection:
    """A connection to one server. `limit` is the deadline for all its requests, in seconds from now."""

    def __init__(self, url: str, limit: float, login: tuple[str, str] | None = None) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=limit)
        self.headers: dict[str, str] = {}
        if login:
            self.headers["Authorization"] = "Basic " + base64.b64encode(":".join(login).encode()).decode()
        self.set_deadline(limit)

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def set_deadline(self, limit: float) -> None:
        """Set the deadline for all further requests, in seconds from now."""
        self._end = time.monotonic() + limit

    def request(self, method: str, path: str, sent: bytes | None = None, headers: Mapping[str, str] = NONE) -> bytes:
        """Send a request and return the body of the answer. Raises OverLimitError, WrongAnswerError, OSError."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise OverLimitError(path)
        self._connection.timeout = left
        if self._connection.sock:
            self._connection.sock.settimeout(left)
        try:
            self._connection.request(method, path, sent, {**self.headers, **headers})
            answer = self._connection.getresponse()
            content = answer.read()
        except TimeoutError:
            raise OverLimitError(path) from None
        except http.client.HTTPException as error:
            raise OSError(
                f"{self._connection.host}:{self._connection.port}{path}: {type(error).__name__} {error}"
            ) from None
        if answer.status != 200:
            raise WrongAnswerError(f"{method} {path.partition('?')[0]}: {answer.status} {content[:300]!r}")
        return content

    def get(self, path: str, **query: Any) -> bytes:
        return self.request("GET", f"{path}?{urlencode(query, doseq=True)}")

    def post(self, path: str, body: Any) -> bytes:
        return self.request("POST", path, json.dumps(body).encode(), JSON)

    def get_json(self, path: str, **query: Any) -> Any:
        return json.loads(self.get(path, **query))

    def post_json(self, path: str, body: Any) -> Any:
        return json.loads(self.post(path, body))


def create_run(connection: Connection, experiment: str) -> str:
    """The id of a new run, which has just started."""
    body = {"experiment_id": experiment, "start_time": time.time_ns() // 1_000_000, "run_name": "logged"}
    return str(connection.post_json(f"{API}/runs/create", body)["run"]["info"]["run_id"])


def log_a_run(connection: Connection, experiment: str, number: int) -> None:
    """Create a run, log 20 metrics, 10 parameters and 5 tags, and end it."""
    run_id = create_run(connection, experiment)
    now = time.time_ns() // 1_000_000
    batch = {
        "run_id": run_id,
        "metrics": [{"key": f"m{key}", "value": number + key / 8, "timestamp": now, "step": 0} for key in range(20)],
        "params": [{"key": f"p{key}", "value": str(number)} for key in range(10)],
        "tags": [{"key": f"t{key}", "value": f"v{number % 10}"} for key in range(5)],
    }
    connection.post(f"{API}/runs/log-batch", batch)
    connection.post(f"{API}/runs/update", {"run_id": run_id, "status": "FINISHED", "end_time": now})

"""Requests that no client of MLflow's makes, half of them without a valid sign-in; the same ones for a seed."""

from __future__ import annotations

import base64
import random
from dataclasses import dataclass

from .calls import V2, V3

PATHS = (
    f"{V2}/experiments/get?experiment_id=0",
    f"{V2}/experiments/search",
    f"{V2}/runs/create",
    f"{V2}/runs/search",
    f"{V2}/users/create",
    f"{V2}/users/get?username=admin",
    f"{V3}/traces/search",
    f"{V3}/jobs/search",
    "/ajax-api/3.0/jobs/search",
    "/api/2.0/mlflow-artifacts/artifacts?path=x",
    "/v1/traces",
    "/graphql",
    "/gateway/mlflow/v1/models",
    "/mcp",
)
NEVER: tuple[tuple[str, bytes], ...] = (
    ("no scheme", b"x"),
    ("bearer", b"Bearer x"),
    ("digest", b'Digest username="admin", realm="mlflow", nonce="x", uri="/", response="x"'),
    ("nothing behind it", b"Basic"),
    ("empty", b"Basic "),
    ("not base64", b"Basic !!!"),
    ("no colon", b"Basic " + base64.b64encode(b"admin")),
    ("no name", b"Basic " + base64.b64encode(b":password")),
    ("not UTF-8", b"Basic " + base64.b64encode(b"\xff\xfe:\xff")),
    ("a NUL in the name", b"Basic " + base64.b64encode(b"ad\0min:password")),
    ("a NUL in the password", b"Basic " + base64.b64encode(b"admin:pass\0word")),
    ("a long name", b"Basic " + base64.b64encode(b"a" * 3_000 + b":x")),
    ("quotes", b"Basic " + base64.b64encode(b"' OR 1=1 --:x")),
    ("a wrong password", b"Basic " + base64.b64encode(b"admin:wrong")),
)
"""Headers that sign nobody in."""
BODIES = (
    b"",
    b"{",
    b"[]",
    b"null",
    b'"text"',
    b"\xff\xfe\0",
    b'{"experiment_id": {"a": []}}',
    b'{"username": "a\\u0000b", "password": "a-password-of-12"}',
    b'{"experiment_id": "0", "user_id": "\\ud800", "start_time": 1e400}',
    b'{"experiment_ids": ["0"], "filter": "params.`a\\u0000` = \'x\'"}',
    b'{"query": "{ mlflowGetRun(input: {runId: \\"a\\\\u0000b\\"}) { run { info { runId } } } }"}',
    b'{"max_results": 99999999999999999999}',
)


@dataclass(frozen=True)
class Malformed:
    """A request; without a sign-in of its own, it is sent with a valid one."""

    method: str
    path: str
    kind: str
    authorization: bytes | None
    body: bytes
    content_type: str


def malformed(count: int, seed: int) -> list[Malformed]:
    """That many requests; every second one signs nobody in."""
    chance = random.Random(seed)
    made = []
    for number in range(count):
        kind, header = NEVER[number // 2 % len(NEVER)] if number % 2 else ("signed in", None)
        made.append(
            Malformed(
                method=chance.choice(["GET", "POST", "POST", "PATCH", "DELETE"]),
                path=chance.choice(PATHS),
                kind=kind,
                authorization=header,
                body=chance.choice(BODIES),
                content_type=chance.choice(["application/json", "application/x-protobuf", "text/plain"]),
            )
        )
    return made

"""Calls that several clients make at the same moment."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from .answers import Answer, Server
from .calls import V2, V3, Call, post
from .tracing import spans, trace

CLIENTS = 8


def rows(server: Server, run: str, number: int) -> dict[str, Call]:
    """Calls that each write one new row, whoever comes first."""
    name, key = f"raced{number}", f"key{number}"
    return {
        "tag of a run": post(f"{V2}/runs/set-tag", {"run_id": run, "key": key, "value": "v"}),
        "parameter": post(f"{V2}/runs/log-parameter", {"run_id": run, "key": key, "value": "v"}),
        "metric": post(f"{V2}/runs/log-metric", {"run_id": run, "key": key, "value": 1, "timestamp": 1, "step": 1}),
        "batch": post(
            f"{V2}/runs/log-batch",
            {
                "run_id": run,
                "metrics": [{"key": f"b{key}", "value": 1, "timestamp": 1, "step": 1}],
                "params": [{"key": f"b{key}", "value": "v"}],
                "tags": [{"key": f"b{key}", "value": "v"}],
            },
        ),
        "input": post(
            f"{V2}/runs/log-inputs",
            {
                "run_id": run,
                "datasets": [{"dataset": {"name": name, "digest": "d", "source_type": "s", "source": "s"}, "tags": []}],
            },
        ),
        "tag of an experiment": post(
            f"{V2}/experiments/set-experiment-tag", {"experiment_id": "0", "key": key, "value": "v"}
        ),
        "tag of a model": post(f"{V2}/registered-models/set-tag", {"name": "raced", "key": key, "value": "v"}),
        "tag of a version": post(
            f"{V2}/model-versions/set-tag", {"name": "raced", "version": "1", "key": key, "value": "v"}
        ),
        "alias": post(f"{V2}/registered-models/alias", {"name": "raced", "alias": f"a{key}", "version": "1"}),
        "version": post(f"{V2}/model-versions/create", {"name": "raced", "source": f"runs:/{run}/m", "run_id": run}),
        "trace": post(f"{V3}/traces", trace(1_000 + number)),
        "spans": spans(2_000 + number),
        "tag of a trace": Call("PATCH", f"{V3}/traces/tr-{999:032x}/tags", {"key": key, "value": "v"}),
        "link to a run": post(f"{V2}/traces/link-to-run", {"trace_ids": [f"tr-{999:032x}"], "run_id": run}),
        "tag of an evaluation dataset": Call(
            "PATCH", f"{V3}/datasets/{server.kept['raced']}/tags", {"tags": json.dumps({key: "v"})}
        ),
        "record": post(
            f"{V3}/datasets/{server.kept['raced']}/records", {"records": json.dumps([{"inputs": {"q": key}}])}
        ),
        "scorer": post(
            f"{V3}/scorers/register", {"experiment_id": "0", "name": name, "serialized_scorer": json.dumps({"n": 1})}
        ),
        "review queue of a user": post(
            f"{V3}/review-queues/get-or-create-user", {"experiment_id": "0", "user": name, "created_by": "me"}
        ),
    }


NAMED: dict[str, Callable[[int], Call]] = {
    "experiment": lambda number: post(f"{V2}/experiments/create", {"name": f"raced{number}"}),
    "registered model": lambda number: post(f"{V2}/registered-models/create", {"name": f"raced{number}"}),
    "user": lambda number: post(f"{V2}/users/create", {"username": f"raced{number}", "password": "a-password-of-12"}),
    "secret": lambda number: post(
        f"{V3}/gateway/secrets/create",
        {"secret_name": f"raced{number}", "secret_value": [{"key": "k", "value": "v"}], "provider": "openai"},
    ),
}
"""Calls of which one succeeds, and the others are told that there is one already."""


def at_once(server: Server, call: Call) -> list[Answer]:
    """What each of some clients is told that make one call at the same moment."""
    barrier = threading.Barrier(CLIENTS)
    clients = [Server(server.url, server.headers, dict(server.kept)) for _ in range(CLIENTS)]

    def ask(client: Server) -> Answer:
        barrier.wait()
        return client.answer(call)

    with ThreadPoolExecutor(CLIENTS) as threads:
        return list(threads.map(ask, clients))

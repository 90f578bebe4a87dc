"""Run in a process of its own: the same odd batches logged by MLflow's own store and then by the faster one."""

from __future__ import annotations

import importlib
import logging
import random
from typing import Any

from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from sqlalchemy import text

Batch = tuple[list[Metric], list[Param], list[RunTag]]

RUNS, BATCHES = 20, 12
ODD = [float("nan"), float("inf"), float("-inf"), 0.0, -0.0, 1e300]
ROWS = {
    "params": "key, value",
    "tags": "key, value",
    "metrics": "key, value, timestamp, step, is_nan",
    "latest_metrics": "key, value, timestamp, step, is_nan",
}


def a_batch(chance: random.Random) -> Batch:
    """Few keys, steps and values, so that much of it is there already, twice in one batch, or not allowed."""
    metrics = [
        Metric(
            f"m{chance.randrange(6)}",
            chance.choice([*ODD, chance.random(), chance.random()]),
            chance.randrange(3),
            chance.randrange(3),
        )
        for _ in range(chance.randrange(12))
    ]
    params = [Param(f"p{key}", f"v{chance.randrange(2)}") for key in chance.sample(range(12), chance.randrange(4))]
    tags = [
        RunTag(
            f"t{chance.randrange(5)}" if chance.random() < 0.9 else "mlflow.runName", "ü𝄞"[: chance.randrange(1, 3)] * 9
        )
        for _ in range(chance.randrange(5))
    ]
    if chance.random() < 0.05:
        metrics.append(Metric("k" * 251, 1.0, 1, 1))
    if chance.random() < 0.05:
        # Each once: told it again, MLflow's own compares it with what the database holds of it.
        params.append(Param(f"zero{chance.random()}", "a\0b"))
    return metrics, params, tags


def logged(store: Any, plan: list[list[Batch]]) -> list[dict[str, Any]]:
    """What each run holds afterwards, and what was refused."""
    return [_one(store, batches) for batches in plan]


def _one(store: Any, batches: list[Batch]) -> dict[str, Any]:
    run_id = store.create_run("0", "somebody", 0, [], "odd").info.run_id
    refused = []
    for number, batch in enumerate(batches):
        if number == len(batches) - 1:
            store.delete_run(run_id)
        try:
            store.log_batch(run_id, *batch)
        except MlflowException as error:
            refused.append(f"{number}: {error}".replace(run_id, "RUN")[:200])
    with store.engine.connect() as connection:
        rows = {
            # As tuples and not as text: which of 0.0 and -0.0 stays, when both are logged, is nobody's promise.
            table: sorted(
                tuple(row)
                for row in connection.execute(text(f"SELECT {columns} FROM {table} WHERE run_uuid = '{run_id}'"))
            )
            for table, columns in ROWS.items()
        }
    return {"refused": refused, **rows}


def main(address: str) -> dict[str, Any]:
    # What is refused on purpose would be told at length.
    logging.disable()
    chance = random.Random(5)
    plan = [[a_batch(chance) for _ in range(BATCHES)] for _ in range(RUNS)]
    make: Any = SqlAlchemyStore
    store = make(address, "mlflow-artifacts:/")
    own = logged(store, plan)

    faster: Any = importlib.import_module("mlflow_postgres.database.store")
    faster.install()
    batches: Any = importlib.import_module("mlflow_postgres.database.batches")
    written: list[bool] = []
    original = batches._written

    def counted(*arguments: Any) -> bool:
        written.append(original(*arguments))
        return written[-1]

    batches._written = counted
    ours = logged(store, plan)
    differing = [[one, other] for one, other in zip(own, ours, strict=True) if one != other]
    refused = sum(len(each["refused"]) for each in own)
    return {"differing": differing[:2], "written": sum(written), "refused": refused}

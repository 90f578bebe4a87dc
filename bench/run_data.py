"""The runs in every store. They depend only on a seed and the run's number, so all systems have the same. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

METRICS, PARAMS, TAGS = 20, 10, 5
STEPS = (10_000, 100_000)
"""Numbers of values of the metrics with a long history."""
FIRST_START = 1_704_067_200_000
"""Start of the first run, in milliseconds since 1970. Each run starts about a minute after the one before."""

Value = str | int | float | bool | None
Row = tuple[Value, ...]
Rows = dict[str, tuple[tuple[str, ...], list[Row]]]
"""The columns and rows by table, in an order that foreign keys allow."""

_METRIC_COLUMNS = ("key", "value", "timestamp", "step", "is_nan", "run_uuid")
_PAIR_COLUMNS = ("key", "value", "run_uuid")
_RUN_COLUMNS = (
    *("run_uuid", "name", "source_type", "source_name", "entry_point_name", "user_id", "status"),
    *("start_time", "end_time", "source_version", "lifecycle_stage", "artifact_uri", "experiment_id", "deleted_time"),
)


@dataclass(frozen=True)
class Run:
    id: str
    name: str
    status: str
    start: int
    """Milliseconds since 1970. No two runs start at the same time, so their order is unambiguous."""
    seconds: int
    metrics: list[float]
    params: list[str]
    tags: list[str]


def runs(first: int, end: int, seed: int) -> Iterator[Run]:
    """The runs with the numbers from `first` to `end` - 1."""
    for number in range(first, end):
        # A generator for each number, so that a store grown in steps equals one grown at once.
        chance = random.Random(seed * 1_000_003 + number)
        yield Run(
            id=f"{chance.getrandbits(128):032x}",
            name=f"bench-{number}",
            status="FAILED" if chance.random() < 0.1 else "FINISHED",
            start=FIRST_START + number * 60_000 + chance.randrange(60_000),
            seconds=chance.randrange(30, 3_000),
            metrics=[chance.random() for _ in range(METRICS)],
            params=[str(chance.randrange(1_000)) for _ in range(PARAMS)],
            tags=[f"v{chance.randrange(10)}" for _ in range(TAGS)],
        )


def run_rows(batch: Iterable[Run], experiment: int) -> Rows:
    """The rows that MLflow 3 stores for runs logged with its client."""
    rows: Rows = {
        "runs": (_RUN_COLUMNS, []),
        "metrics": (_METRIC_COLUMNS, []),
        "latest_metrics": (_METRIC_COLUMNS, []),
        "params": (_PAIR_COLUMNS, []),
        "tags": (_PAIR_COLUMNS, []),
    }
    for run in batch:
        end = run.start + run.seconds * 1_000
        rows["runs"][1].append(
            (
                *(run.id, run.name, "UNKNOWN", "", "", "bench", run.status, run.start, end, "", "active"),
                *(f"mlflow-artifacts:/{experiment}/{run.id}/artifacts", experiment, None),
            )
        )
        metrics = [(f"m{key}", value, end, 0, False, run.id) for key, value in enumerate(run.metrics)]
        rows["metrics"][1].extend(metrics)
        rows["latest_metrics"][1].extend(metrics)
        rows["params"][1].extend((f"p{key}", value, run.id) for key, value in enumerate(run.params))
        rows["tags"][1].extend((f"t{key}", value, run.id) for key, value in enumerate(run.tags))
        usual = {"user": "bench", "source.name": "train.py", "source.type": "LOCAL", "runName": run.name}
        rows["tags"][1].extend((f"mlflow.{key}", value, run.id) for key, value in usual.items())
    return rows


def history_rows(steps: int, experiment: int, seed: int) -> tuple[str, Rows]:
    """The id and the rows of one run with a long history of the metric `loss`."""
    # A number that no other run has.
    (run,) = runs(-steps, 1 - steps, seed)
    rows = run_rows([run], experiment)
    chance = random.Random(seed)
    values = [("loss", chance.random(), run.start + step, step, False, run.id) for step in range(steps)]
    rows["metrics"][1].extend(values)
    rows["latest_metrics"][1].append(values[-1])
    return run.id, rows

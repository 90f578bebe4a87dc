"""Runs that have everything which a search can stumble over, the same ones every time."""

from __future__ import annotations

import math
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psycopg
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

RUNS = {"odd": 110, "other": 40, "empty": 0}
"""Runs of each experiment."""

_CHANCE = random.Random(7)
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJ0123456789"

BEGINNING = "".join(_CHANCE.choices(LETTERS, k=128))
"""What several values have in common: the characters that are in the indexes."""

LONG = BEGINNING + "".join(_CHANCE.choices(LETTERS + "äß名😀_%", k=5_872))
"""As long as MLflow lets a parameter be; it cuts a longer one."""

LONG_TAG = "".join(_CHANCE.choices("äß名前😀🚀" + LETTERS, k=8_000))
KEY = "k" * 249 + "é"

TEXTS = [
    *(
        "42",
        "4",
        "42 ",
        " 42",
        "",
        "A",
        "a",
        "Ä",
        "ä",
        "é",
        "e\u0301",
        "名前",
        "😀",
        "😀" * 127,
        "😀" * 128,
        "😀" * 129,
    ),
    *("50%", "50_", "50x", "50%x", "a\\b", "a\\", "a%b", "a_b", "axb", 'a"b', "line\nbreak", "x'y"),
    *(BEGINNING[:127], BEGINNING, BEGINNING + "y", BEGINNING + "z", BEGINNING[:127] + "%", LONG, LONG[:-1] + "!"),
]
NUMBERS = [math.nan, math.inf, -math.inf, 0.0, -0.0, 1e300, -1e300, 5e-324, 0.1, 0.1, 1.5, 1.5, -7.25, 3.0]


@dataclass(frozen=True)
class Filled:
    experiments: dict[str, str]
    """Ids of the experiments, by name."""

    first: str
    """Id of the run whose values are the longest."""


def fill(client: MlflowClient, database: psycopg.Connection) -> Filled:
    """Make the runs, with MLflow's client as far as that can. A session of the server's role gives some NULLs."""
    experiments = {name: client.create_experiment(f"searches {name}") for name in RUNS}
    places = [(client, experiments[name], number) for name, count in RUNS.items() for number in range(count)]
    with ThreadPoolExecutor(8) as threads:
        ids = list(threads.map(_make, places))
    client.log_param(ids[0], "long", LONG + "cut off")
    client.set_tag(ids[0], "long", LONG_TAG)
    # A parameter of the longest that the schema has, which a migrated store may bring.
    database.execute("INSERT INTO params (key, value, run_uuid) VALUES ('longest', %s, %s)", (LONG_TAG, ids[0]))
    database.execute("UPDATE tags SET value = NULL WHERE key = 'nothing'")
    # Runs of MLflow 1 have their name in a tag alone.
    database.execute("UPDATE runs SET name = '' WHERE run_uuid = ANY(%s)", (ids[3:100:10],))
    database.commit()
    return Filled(experiments, ids[0])


def _make(place: tuple[MlflowClient, str, int]) -> str:
    client, experiment, number = place
    # Many start in the same millisecond.
    run = client.create_run(experiment, start_time=1_700_000_000_000 + number // 9, run_name=f"run-{number % 40}")
    run_id = str(run.info.run_id)
    metrics = {"名前": number / 3, KEY: float(number % 3)}
    if number % 5 != 4:
        metrics["m"] = NUMBERS[number % len(NUMBERS)]
    if number < 20:
        metrics["sparse"] = float(number // 2)
    if number % 3 == 0:
        metrics["never"] = math.nan
    text, other = TEXTS[number % len(TEXTS)], TEXTS[(number * 2 + 3) % len(TEXTS)]
    client.log_batch(
        run_id,
        metrics=[
            *(Metric(key, value, 1_000 + number, 2) for key, value in metrics.items()),
            Metric("名前", 1e9, 500, 1),
        ],
        params=[Param("p", text), Param("q", str(number % 7)), Param(KEY, text)],
        tags=[RunTag("t", other), RunTag("nothing", "soon"), RunTag("名前", text), RunTag(KEY, "x" * (number % 3))],
    )
    if number % 6 == 0:
        name = "train" if number % 4 else "test"
        dataset = Dataset(name, f"digest-{number % 5}", "local", "a%b")
        client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", f"{name}ing")])])
    if number % 4:
        client.set_terminated(run_id, "FAILED" if number % 8 == 1 else "FINISHED", 1_700_000_900_000 + number)
    if number % 11 == 7:
        client.delete_run(run_id)
    return run_id

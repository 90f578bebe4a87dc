"""Run in a process of its own: the same runs made and changed by MLflow's own store and then by the faster one."""

from __future__ import annotations

import importlib
import itertools
import json
import logging
import random
import re
from collections.abc import Iterator
from functools import partial
from typing import Any

from mlflow.entities import Metric, RunStatus, RunTag
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from sqlalchemy import text

NAMES = [None, "", "named", "ü𝄞", "n" * 250, "n" * 251, "a\0b"]
TAGS: list[list[tuple[str, Any]]] = [
    [],
    [("t", "v"), ("ü", "𝄞")],
    [("mlflow.runName", "named"), ("t", None)],
    [("mlflow.runName", "another")],
    [("mlflow.runName", "")],
    [("t", "v"), ("t", "w")],
    [("t", "x" * 8_001)],
    [("k" * 251, "v")],
]
STATES = [None, *(RunStatus.from_string(each) for each in ("RUNNING", "FINISHED", "FAILED", "KILLED")), 77]
ROWS = {
    # All but the time at which it was deleted.
    "runs": (
        "run_uuid, experiment_id, name, user_id, status, start_time, end_time, artifact_uri, lifecycle_stage,"
        " source_type, source_name, source_version, entry_point_name"
    ),
    "tags": "key, value",
    "latest_metrics": "key, value",
}
ENDS = [None, 0, 1_700_000_000_000]


def outcome(work: Any) -> Any:
    """What is answered, or refused."""
    try:
        return work()
    except Exception as error:
        said = error.message if isinstance(error, MlflowException) else ""
        # The shorter one is where a refusal of the database's is found in the log.
        said = re.sub("[0-9a-f]{32}|[0-9a-f]{12}", "ID", said)
        return f"{type(error).__name__} {getattr(error, 'error_code', '')} {said}"


def done(store: Any, experiments: list[str]) -> list[Any]:
    """What the store answers to all of it, and the rows that it leaves."""
    seen: list[Any] = []
    chance = random.Random(9)
    for experiment, name, tags in made_as(experiments):
        pairs = [RunTag(*each) for each in tags]
        seen.append(described(store, outcome(partial(store.create_run, experiment, "somebody", 5, pairs, name))))
    for state, end, name in changed_to():
        run_id = store.create_run(experiments[0], "", 0, [], "odd").info.run_id
        store.log_metric(run_id, Metric("m", 1.0, 1, 1))
        match chance.randrange(6):
            case 0:
                store.delete_run(run_id)
            case 1:
                with store.engine.begin() as connection:
                    connection.execute(text(f"UPDATE runs SET name = '' WHERE run_uuid = '{run_id}'"))
        info = outcome(partial(store.update_run_info, run_id, state, end, name))
        seen.append([info if isinstance(info, str) else dict(info), *rows(store, run_id)])
        seen[-1] = json.loads(json.dumps(seen[-1]).replace(run_id, "RUN"))
    seen.append(outcome(lambda: store.update_run_info("nowhere", STATES[2], None, None)))
    return [without_random_names(each) for each in seen]


def made_as(experiments: list[str]) -> Iterator[tuple[str, str | None, list[tuple[str, Any]]]]:
    """An experiment, a name and tags: all pairs of the latter in the first experiment, and each once in the others."""
    yield from itertools.product(experiments[:1], NAMES, TAGS)
    for place, experiment in enumerate(experiments[1:]):
        for number, tags in enumerate(TAGS):
            yield experiment, NAMES[(place + number) % len(NAMES)], tags


def changed_to() -> Iterator[tuple[int | None, int | None, str | None]]:
    """A state, an end and a name: all three together where no name is given, and else each two."""
    yield from itertools.product(STATES, ENDS, NAMES[:2])
    for place, (state, name) in enumerate(itertools.product(STATES, NAMES[2:])):
        yield state, ENDS[place % len(ENDS)], name


def described(store: Any, made: Any) -> Any:
    if isinstance(made, str):
        return made
    run_id = made.info.run_id
    said = [dict(made.info), made.data.to_dictionary(), made.inputs.to_dictionary(), *rows(store, run_id)]
    return json.loads(json.dumps(said).replace(run_id, "RUN"))


def rows(store: Any, run_id: str) -> list[Any]:
    with store.engine.connect() as connection:
        return [
            sorted(map(list, connection.execute(text(f"SELECT {columns} FROM {table} WHERE run_uuid = '{run_id}'"))))
            for table, columns in ROWS.items()
        ]


def without_random_names(seen: Any) -> Any:
    """MLflow gives a run that nobody named one of its own: adjective-noun-number."""
    said = json.dumps(seen)
    if isinstance(seen, list) and isinstance(seen[0], dict) and seen[0]["run_name"].rpartition("-")[2].isdecimal():
        return json.loads(said.replace(seen[0]["run_name"], "RANDOM"))
    return seen


def main(address: str) -> dict[str, Any]:
    # What is refused on purpose would be told at length.
    logging.disable()
    make: Any = SqlAlchemyStore
    store = make(address, "mlflow-artifacts:/")
    experiments = [store.create_experiment(name) for name in ("changes", "changes deleted")]
    store.delete_experiment(experiments[1])
    asked = [*experiments, f"0{experiments[0]}", "\u0661", "987654", "letters", ""]
    own = done(store, asked)

    faster: Any = importlib.import_module("mlflow_postgres.database.store")
    faster.install()
    runs: Any = importlib.import_module("mlflow_postgres.database.runs")
    counts = {"_made": [0, 0], "_changed": [0, 0]}

    def counted(name: str) -> None:
        original = getattr(runs, name)

        def call(*arguments: Any) -> Any:
            found = original(*arguments)
            counts[name][bool(found)] += 1
            return found

        setattr(runs, name, call)

    counted("_made")
    counted("_changed")
    ours = done(store, asked)
    differing = [[one, other] for one, other in zip(own, ours, strict=True) if one != other]
    return {
        "differing": differing[:2],
        "made": counts["_made"][1],
        "changed": counts["_changed"][1],
        "left": counts["_made"][0] + counts["_changed"][0],
        "refused": sum(isinstance(each, str) for each in own),
    }

"""How many workers MLflow's server has, and whether it runs jobs of its own."""

from __future__ import annotations

import pytest

from components import MlflowOptions

from .deploy import deploy
from .project import load


def workers(**changes: str) -> int:
    return load(changes).mlflow.worker_count


@pytest.mark.parametrize(
    ("cpus", "number"), [("0", 4), ("0.5", 2), ("1", 2), ("1.2", 3), ("2", 4), ("3.5", 7), ("16", 32), ("64", 32)]
)
def test_by_default_there_are_two_workers_for_each_processor(cpus: str, number: int) -> None:
    assert workers(mlflowWorkers="0", mlflowCpus=cpus, mlflowMemory="65536") == number


@pytest.mark.parametrize(
    ("memory", "jobs", "number"),
    [("2048", "false", 3), ("4096", "false", 6), ("16384", "false", 27), ("2048", "true", 2), ("4096", "true", 4)],
)
def test_by_default_the_memory_limits_the_workers(memory: str, jobs: str, number: int) -> None:
    found = workers(mlflowCpus="32", mlflowMemory=memory, mlflowJobs=jobs)
    assert found == number, "the engine kills who needs more"


def test_without_a_limit_the_processors_of_this_machine_are_not_counted() -> None:
    assert workers() == 4, "the plan must be the same wherever it is made"


@pytest.mark.parametrize("number", ["2", "32"])
def test_a_chosen_number_of_workers_is_used(number: str) -> None:
    assert workers(mlflowWorkers=number, mlflowCpus="1") == int(number)


@pytest.mark.parametrize(("jobs", "told"), [(False, "false"), (True, "true")])
def test_the_server_gets_the_setting_of_jobs(jobs: bool, told: str) -> None:
    server = deploy(mlflow=MlflowOptions(jobs=jobs)).container("mlflow")
    assert server.environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == told, "left out, it starts seven processes"


def test_by_default_there_are_no_jobs() -> None:
    assert not load({}).mlflow.jobs

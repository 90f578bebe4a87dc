"""The budget of connections: no role can take another's place, and the server is never refused."""

from __future__ import annotations

import pytest

from components import MlflowOptions, PostgresOptions
from components.database.connections import MAX_OVERFLOW, POOL_SIZE, connection_budget, rest_connections

from .deploy import deploy

WORKERS = [1, 4, 32]


@pytest.mark.parametrize("jobs", [False, True])
@pytest.mark.parametrize("sign_in", [False, True])
@pytest.mark.parametrize("workers", WORKERS)
def test_all_roles_together_leave_connections_for_the_superuser(workers: int, sign_in: bool, jobs: bool) -> None:
    budget = connection_budget(workers, sign_in=sign_in, jobs=jobs)
    reserved = budget.max_connections - sum(vars(budget).values())
    assert reserved == 10, "three for the superuser, as PostgreSQL has it, and some for its own workers"
    assert min(budget.owner, budget.readonly) > 0, "a limit of 0 lets nobody in"


@pytest.mark.parametrize(("sign_in", "pools"), [(False, 2), (True, 3)])
@pytest.mark.parametrize("workers", WORKERS)
def test_the_servers_connections_suffice_for_the_pools_of_all_workers(workers: int, sign_in: bool, pools: int) -> None:
    budget = connection_budget(workers, sign_in=sign_in, jobs=False)
    of_worker = pools * (POOL_SIZE + MAX_OVERFLOW) + rest_connections(sign_in=sign_in)
    assert budget.server >= workers * of_worker, "under load requests would fail"


def test_jobs_have_connections_if_they_are_on() -> None:
    without, with_jobs = (connection_budget(4, sign_in=False, jobs=jobs) for jobs in (False, True))
    assert with_jobs.server - without.server == 8, "the runner and its seven queues"
    assert (with_jobs.owner, with_jobs.readonly) == (without.owner, without.readonly)


def test_retention_uses_the_servers_role_with_additional_connections() -> None:
    without, with_it = (deploy(**changes).container("postgres").environment for changes in ({}, {"gc_after_days": 7}))
    share = "MLFLOW_POSTGRES_SERVER_CONNECTIONS"
    assert int(with_it[share]) - int(without[share]) == 1


def test_the_monitoring_role_has_connections_only_with_metrics() -> None:
    without, with_metrics = (connection_budget(4, sign_in=False, jobs=False, metrics=each) for each in (False, True))
    assert (without.monitor, with_metrics.monitor) == (0, 5)
    assert with_metrics.max_connections - without.max_connections == 5, "nobody gives up a connection for it"


def test_postgresql_gets_max_connections_and_the_limit_of_each_role() -> None:
    engine = deploy(mlflow=MlflowOptions(workers=7, jobs=True), postgres=PostgresOptions(user="tracker"), sign_in=True)
    budget = connection_budget(7, sign_in=True, jobs=True)
    server = engine.container("postgres")
    assert f"max_connections={budget.max_connections}" in server.inputs["command"]
    shares = {role: server.environment[f"MLFLOW_POSTGRES_{role.upper()}_CONNECTIONS"] for role in vars(budget)}
    assert shares == {role: str(share) for role, share in vars(budget).items()}


def test_mlflow_gets_the_pool_sizes_of_the_budget() -> None:
    server = deploy(mlflow=MlflowOptions(workers=7)).container("mlflow")
    command = server.inputs["command"]
    assert command[command.index("--workers") + 1] == "7"
    assert server.environment["MLFLOW_SQLALCHEMYSTORE_POOL_SIZE"] == str(POOL_SIZE)
    assert server.environment["MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW"] == str(MAX_OVERFLOW)
    assert server.environment["REST_CONNECTIONS"] == str(rest_connections(sign_in=False))

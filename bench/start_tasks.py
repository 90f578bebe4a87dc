"""Seconds from a start to the first logged run: a restart of the server, and a start from nothing."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass

from docker.models.containers import Container

from bench.connection import OverLimitError, WrongAnswerError, log_a_run
from bench.environment import Environment, free_ports, wait_until
from bench.product import Product
from bench.systems import OURS, TUTORIAL, System, serve, start_stock_postgres, stock_uri
from bench.task import Task

STARTS = "starts"
RESTART = "restart of the server to the first logged run"
FROM_NOTHING = "from nothing to the first logged run"
_LIMIT = 600.0
_DRIVER = "pip install --no-cache-dir psycopg2-binary boto3"


def logs(system: System) -> bool:
    """Whether a run can be logged now."""
    with suppress(OSError, OverLimitError, WrongAnswerError), system.connect(30) as connection:
        log_a_run(connection, "0", 0)
        return True
    return False


def seconds_to_log(system: System, began: float) -> list[float]:
    wait_until(lambda: logs(system), f"a run logged to {system.name}", _LIMIT)
    return [time.monotonic() - began]


class Recipe:
    """MLflow's own compose recipe. At every start it creates the server's container, which installs the driver."""

    def __init__(self, environment: Environment, image: str, postgres: str) -> None:
        self._room = environment
        self._image = image
        self._postgres = postgres
        """Name of PostgreSQL's container on the environment's network."""
        self._container: Container | None = None

    def start(self) -> System:
        """Replace the server."""
        self.stop()
        (port,) = free_ports(1)
        command = ["sh", "-c", f"{_DRIVER} && exec {' '.join(serve(stock_uri(self._postgres)))}"]
        self._container = self._room.run("recipe", self._image, command, port=(5000, port))
        return System(name=TUTORIAL, url=f"http://127.0.0.1:{port}", server=self._container)

    def stop(self) -> None:
        if self._container:
            self._room.drop(self._container)
            self._container = None


class StartTask(Task):
    """A start until the first logged run, in seconds."""

    group = STARTS
    unit = "s"
    limit = _LIMIT


@dataclass
class Restart(StartTask):
    """Start a stopped server whose database runs. The stop is not timed."""

    recipe: Recipe
    name = RESTART

    def measure(self, system: System) -> list[float]:
        if system.name == TUTORIAL:
            self.recipe.stop()
            began = time.monotonic()
            started = self.recipe.start()
            readings = seconds_to_log(started, began)
            self.recipe.stop()
            return readings
        system.server.stop(timeout=10)
        began = time.monotonic()
        system.server.start()
        return seconds_to_log(system, began)


@dataclass
class FromNothing(StartTask):
    """Start without containers, volumes and data. The images exist."""

    environment: Environment
    product: Product
    image: str
    """Plain MLflow without a driver."""
    name = FROM_NOTHING

    def measure(self, system: System) -> list[float]:
        return self._ours() if system.name == OURS else self._recipe()

    def _ours(self) -> list[float]:
        self.product.destroy()
        began = time.monotonic()
        self.product.up()
        # Not `system_of`: asking Pulumi for the outputs would add a second.
        system = System(name=OURS, url=self.product.url, server=self.product.container("mlflow"))
        return seconds_to_log(system, began)

    def _recipe(self) -> list[float]:
        recipe = Recipe(self.environment, self.image, "recipe-postgres")
        began = time.monotonic()
        postgres = start_stock_postgres(self.environment, "recipe-postgres")
        try:
            return seconds_to_log(recipe.start(), began)
        finally:
            recipe.stop()
            self.environment.drop(postgres)

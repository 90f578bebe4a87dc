"""From a start to the first logged run, of a server that was stopped and of everything from nothing."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass

from docker.models.containers import Container

from bench.measure import Task
from bench.product import Product
from bench.room import Room, free_ports, wait_until
from bench.sides import OURS, TUTORIAL, Side, serve, start_stock_postgres, stock_uri
from bench.wire import OverLimitError, WrongAnswerError, log_a_run

STARTS = "starts"
RESTART = "restart of the server to the first logged run"
FROM_NOTHING = "from nothing to the first logged run"
_LIMIT = 600.0
_DRIVER = "pip install --no-cache-dir psycopg2-binary boto3"


def logs(side: Side) -> bool:
    """Whether a run can be logged right now."""
    with suppress(OSError, OverLimitError, WrongAnswerError), side.connect(30) as wire:
        log_a_run(wire, "0", 0)
        return True
    return False


def seconds_to_log(side: Side, began: float) -> list[float]:
    wait_until(lambda: logs(side), f"a run logged to {side.name}", _LIMIT)
    return [time.monotonic() - began]


class Recipe:
    """MLflow's own compose recipe: the server's container is made anew and installs the driver at every start."""

    def __init__(self, room: Room, image: str, postgres: str) -> None:
        self._room = room
        self._image = image
        self._postgres = postgres
        """Name of PostgreSQL's container on the room's network."""
        self._container: Container | None = None

    def start(self) -> Side:
        """Take the server of before away, and start another."""
        self.stop()
        (port,) = free_ports(1)
        command = ["sh", "-c", f"{_DRIVER} && exec {' '.join(serve(stock_uri(self._postgres)))}"]
        self._container = self._room.run("recipe", self._image, command, port=(5000, port))
        return Side(name=TUTORIAL, url=f"http://127.0.0.1:{port}", server=self._container)

    def stop(self) -> None:
        if self._container:
            self._room.drop(self._container)
            self._container = None


@dataclass
class Restart(Task):
    """A server that was stopped, its database still up; the stop is not timed."""

    recipe: Recipe
    name: str = RESTART
    group: str = STARTS
    unit: str = "s"
    limit: float = _LIMIT

    def measure(self, side: Side) -> list[float]:
        if side.name == TUTORIAL:
            self.recipe.stop()
            began = time.monotonic()
            started = self.recipe.start()
            readings = seconds_to_log(started, began)
            self.recipe.stop()
            return readings
        side.server.stop(timeout=10)
        began = time.monotonic()
        side.server.start()
        return seconds_to_log(side, began)


@dataclass
class FromNothing(Task):
    """No container, no volume, no data; the images are there."""

    room: Room
    product: Product
    image: str
    """Plain MLflow without a driver."""
    name: str = FROM_NOTHING
    group: str = STARTS
    unit: str = "s"
    limit: float = _LIMIT

    def measure(self, side: Side) -> list[float]:
        return self._ours() if side.name == OURS else self._recipe()

    def _ours(self) -> list[float]:
        self.product.destroy()
        began = time.monotonic()
        self.product.up()
        # Asking Pulumi for the outputs takes a second of its own: the address is known before.
        side = Side(name=OURS, url=self.product.url, server=self.product.container("mlflow"))
        return seconds_to_log(side, began)

    def _recipe(self) -> list[float]:
        recipe = Recipe(self.room, self.image, "recipe-postgres")
        began = time.monotonic()
        postgres = start_stock_postgres(self.room, "recipe-postgres")
        try:
            return seconds_to_log(recipe.start(), began)
        finally:
            recipe.stop()
            self.room.drop(postgres)

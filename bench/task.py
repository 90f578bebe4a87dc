"""A task, and how it is measured: in rounds, which alternate between the systems after a warm-up."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeVar

from bench.connection import OverLimitError, WrongAnswerError
from bench.environment import progress
from bench.processor import Processor
from bench.results import Result, Results
from bench.systems import System

T = TypeVar("T")


class Task(ABC):
    """Something to measure on each system."""

    name: str
    group: str
    unit: str
    limit: float

    @abstractmethod
    def measure(self, system: System) -> list[float]:
        """The readings of one round. Raises OverLimitError, WrongAnswerError, OSError."""

    def warm_up(self, system: System) -> object:
        """Run the task in the warm-up round."""
        return self.measure(system)

    def rows(self) -> int | None:
        """Rows in an answer, if the task has rows."""
        return None

    def processor(self) -> Processor | None:
        """The processor time of one call or run in the last measurement, if the task measures it."""
        return None

    def client_share(self) -> float | None:
        """The part of their time in which the clients used the processor, if the task has client processes."""
        return None


def measure_in_rounds(
    tasks: Sequence[Task], systems: Sequence[System], rounds: int, size: int, results: Results, *, warm_up: bool = True
) -> None:
    """Measure every task on every system in each round. A task that hit its limit or failed is not repeated."""
    for number in range(0 if warm_up else 1, rounds + 1):
        progress(
            f"{size:,} runs, {tasks[0].group}: round {number} of {rounds}" if number else f"{size:,} runs: warm-up"
        )
        for place, task in enumerate(tasks):
            turn = (number + place) % len(systems)
            for system in [*systems[turn:], *systems[:turn]]:
                result = results.of(task.group, task.name, system.name, size, task.unit)
                if not result.closed:
                    _once(task, system, result, counted=number > 0)


def _once(task: Task, system: System, result: Result, *, counted: bool) -> None:
    try:
        if not counted:
            _again_if_broken(task, task.warm_up, system)
            return
        readings = _again_if_broken(task, task.measure, system)
    except OverLimitError:
        result.over = task.limit
        progress(f"{task.name} on {system.name}: over {task.limit:g} s")
        system.restart()
        return
    except (WrongAnswerError, OSError) as error:
        if system.partial:
            # It may close the connection of an upload that it has no call for.
            result.cannot = str(error)
        else:
            result.failed = f"{type(error).__name__}: {error}"
        progress(f"{task.name} on {system.name}: {result.cannot or result.failed}")
        return
    result.rows = task.rows()
    result.values += readings
    processor = task.processor()
    if processor and not math.isnan(processor.server + processor.postgres):
        result.server.append(processor.server)
        result.postgres.append(processor.postgres)
    share = task.client_share()
    if share is not None:
        result.client_share.append(share)


def _again_if_broken(task: Task, work: Callable[[System], T], system: System) -> T:
    """Call `work`, and once more if the connection broke: uvicorn ends workers that start slowly."""
    try:
        return work(system)
    except OSError as error:
        progress(f"{task.name} on {system.name}, again: {error}")
        system.wait()
        return work(system)

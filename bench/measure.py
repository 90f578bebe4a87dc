"""The method: the sides take turns within a round, the order turns from round to round, the first round warms up."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeVar

from bench.results import Result, Results
from bench.room import say
from bench.sides import Side
from bench.wire import OverLimitError, WrongAnswerError

T = TypeVar("T")


class Task(ABC):
    """Something that is measured on each side."""

    name: str
    group: str
    unit: str
    limit: float

    @abstractmethod
    def measure(self, side: Side) -> list[float]:
        """Readings of this round. Raises OverLimitError, WrongAnswerError, OSError."""

    def warm_up(self, side: Side) -> object:
        """What the round that is not counted does."""
        return self.measure(side)

    def rows(self) -> int | None:
        """Rows that an answer holds, where that has a meaning."""
        return None

    def client_share(self) -> float | None:
        """How much of the processors the clients of the last measurement used, where they are many."""
        return None


def interleave(
    tasks: Sequence[Task], sides: Sequence[Side], rounds: int, size: int, results: Results, *, warm_up: bool = True
) -> None:
    """Measure every task on every side in each round. What is over its limit, or wrong, is not tried again."""
    for number in range(0 if warm_up else 1, rounds + 1):
        say(f"{size:,} runs, {tasks[0].group}: round {number} of {rounds}" if number else f"{size:,} runs: warm-up")
        for place, task in enumerate(tasks):
            turn = (number + place) % len(sides)
            for side in [*sides[turn:], *sides[:turn]]:
                result = results.of(task.group, task.name, side.name, size, task.unit)
                if not result.closed:
                    _once(task, side, result, counted=number > 0)


def _once(task: Task, side: Side, result: Result, *, counted: bool) -> None:
    try:
        if not counted:
            _again_if_broken(task, task.warm_up, side)
            return
        readings = _again_if_broken(task, task.measure, side)
    except OverLimitError:
        result.over = task.limit
        say(f"{task.name} on {side.name}: over {task.limit:g} s")
        side.recover()
        return
    except (WrongAnswerError, OSError) as error:
        result.failed = f"{type(error).__name__}: {error}"
        say(f"{task.name} on {side.name}: {result.failed}")
        return
    result.rows = task.rows()
    result.values += readings
    share = task.client_share()
    if share is not None:
        result.client_share.append(share)


def _again_if_broken(task: Task, work: Callable[[Side], T], side: Side) -> T:
    """Work; once more where the connection broke: on a busy machine uvicorn ends a worker that is slow to start."""
    try:
        return work(side)
    except OSError as error:
        say(f"{task.name} on {side.name}, once more: {error}")
        side.wait()
        return work(side)

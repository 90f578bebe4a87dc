"""The answers of several servers to the same calls, side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from .answers import Answer, Server
from .differences import reason
from .steps import Step


@dataclass(frozen=True)
class Swept:
    """The answers of each server, call by call."""

    steps: list[Step]
    answers: dict[str, list[Answer]]

    def differing(self, other: str) -> list[Any]:
        """Where ours are others than those of another server, and nothing is known of a reason."""
        return [
            (step.kind, step.call.name, step.call.fields, own[:2], its[:2])
            for step, own, its in self._apart(other)
            if not reason(other, step)
        ]

    def staying(self, other: str) -> Counter[str]:
        """How often each known reason was needed."""
        reasons = (reason(other, step) for step, *_ in self._apart(other))
        return Counter(each for each in reasons if each)

    def _apart(self, other: str) -> Iterator[tuple[Step, Answer, Answer]]:
        for step, own, its in zip(self.steps, self.answers["ours"], self.answers[other], strict=True):
            if own[:2] != its[:2]:
                yield step, own, its


def swept(servers: dict[str, Server], steps: list[Step], number: str) -> Swept:
    def all_answers(server: Server) -> list[Answer]:
        server.kept["pass"] = number
        return [server.answer(step.call) for step in steps]

    with ThreadPoolExecutor(len(servers)) as threads:
        found = list(threads.map(all_answers, servers.values()))
    return Swept(steps, dict(zip(servers, found, strict=True)))

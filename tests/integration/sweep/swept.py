"""The answers of several servers to the same calls, side by side."""

from __future__ import annotations

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
        pairs = zip(self.steps, self.answers["ours"], self.answers[other], strict=True)
        return [
            (step.kind, step.call.name, step.call.fields, own[:2], its[:2])
            for step, own, its in pairs
            if own[:2] != its[:2] and not (step.kind and reason(other, step))
        ]


def swept(servers: dict[str, Server], steps: list[Step], number: str) -> Swept:
    def all_answers(server: Server) -> list[Answer]:
        server.kept["pass"] = number
        return [server.answer(step.call) for step in steps]

    with ThreadPoolExecutor(len(servers)) as threads:
        found = list(threads.map(all_answers, servers.values()))
    return Swept(steps, dict(zip(servers, found, strict=True)))

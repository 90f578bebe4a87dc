"""The order of the calls: one of each that works, and each again with odd values in its fields."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from .calls import Call
from .evaluation import EVALUATION
from .registry import GATEWAY, REGISTRY, USERS
from .tracing import TRACES
from .tracking import EXPERIMENTS, MODELS, RUNS

LONG = "long " * 2_000
UNSTORABLE = {"NUL": "a\0b", "half a pair": "a\ud800b"}
"""What PostgreSQL cannot hold, and SQLite can."""
ODD: dict[str, Any] = {
    **UNSTORABLE,
    "quotes": 'it\'s "q" \\ %s %(x)s :y',
    "10 digits": "4294967296",
    "20 digits": "94414057123483240200",
    "30 digits": "9" * 30,
    "text": "abc",
    "empty": "",
    "negative": "-1",
    "number": 777_777,
    "list": ["x"],
    "null": None,
    "long": LONG,
    "emoji": "\U0001f600 ü",
}
LAST = {*UNSTORABLE, "long"}
"""Odd values after which SQLite holds something else."""
PLACES = {"experiment_id", "run_id", "trace_id", "version", "name", "key", "value", "filter", "experiment_ids"}
"""Fields that get three odd values; others get one."""

WORKING = [*EXPERIMENTS, *RUNS, *MODELS, *REGISTRY, *TRACES, *EVALUATION, *GATEWAY, *USERS]


@dataclass(frozen=True)
class Step:
    """A call, and which odd value is in it, if there is one."""

    call: Call
    kind: str = ""


def storable(seed: int) -> list[Step]:
    """Each call that works, and again with what every database can hold; the same ones for a seed."""
    return _steps(random.Random(seed), sorted(set(ODD) - set(LAST)))


def unstorable(seed: int) -> list[Step]:
    """The same with what SQLite holds and PostgreSQL does not."""
    return _steps(random.Random(seed), sorted(LAST))


def _steps(chance: random.Random, kinds: list[str]) -> list[Step]:
    steps = []
    for call in WORKING:
        steps.append(Step(call))
        for way in _ways(call.fields):
            # After it has another name, nothing else works.
            if way[-1] == "new_name":
                continue
            # No client can put half of a pair into an address.
            possible = [each for each in kinds if call.method != "GET" or each != "half a pair"]
            for kind in chance.sample(possible, min(len(possible), 3 if way[-1] in PLACES else 1)):
                fields = copy.deepcopy(call.fields)
                _put(fields, way, ODD[kind])
                steps.append(Step(Call(call.method, call.path, fields), kind))
        if "{" in call.path:
            start, _, rest = call.path.partition("{")
            for kind in [each for each in ("10 digits", "text", "quotes", "NUL", "long") if each in kinds]:
                path = f"{start}{quote(ODD[kind][:300], safe='')}{rest.partition('}')[2]}"
                steps.append(Step(Call(call.method, path, call.fields), kind))
    return steps


def _ways(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict) and value:
        for key, each in value.items():
            yield from _ways(each, (*way, key))
    elif isinstance(value, list) and value:
        yield way
        yield from _ways(value[0], (*way, 0))
    elif way:
        yield way


def _put(fields: Any, way: tuple[Any, ...], value: Any) -> None:
    for each in way[:-1]:
        fields = fields[each]
    fields[way[-1]] = value

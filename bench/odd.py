"""Odd values: whether each side logs them, gives them back and finds them. Yes or no, and alike or not."""

from __future__ import annotations

import math
import random
import string
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from bench.sides import Side
from bench.wire import API, OverLimitError, Wire, WrongAnswerError

HUGE = 1.7976931348623157e308
"""What MLflow stores instead of infinity."""


@dataclass(frozen=True)
class Odd:
    name: str
    kind: str
    """metrics, params or tags."""
    key: str
    sent: str | float
    filter: str | None
    """Finds the run by the value; None where MLflow has no words for it."""


def noise(length: int) -> str:
    """Letters and digits that no compression makes shorter, the same every time."""
    return "".join(random.Random(length).choices(string.ascii_letters + string.digits, k=length))


def odd_values() -> list[Odd]:
    long_key = ("long-key-" * 28)[:250]
    tag, param = noise(8_000), noise(6_000)
    return [
        Odd("tag of 8,000 characters", "tags", "long", tag, f"tags.long = '{tag}'"),
        Odd(
            "parameter of 8,000 characters", "params", "long", noise(8_000), f"params.long LIKE '{noise(8_000)[:20]}%'"
        ),
        Odd("parameter of 6,000 characters", "params", "long6", param, f"params.long6 = '{param}'"),
        Odd("metric NaN", "metrics", "nan", math.nan, None),
        Odd("metric +infinity", "metrics", "up", math.inf, "metrics.up > 1e300"),
        Odd("metric -infinity", "metrics", "down", -math.inf, "metrics.down < -1e300"),
        Odd(
            "unicode parameter",
            "params",
            "größe_温度",
            "naïve 日本語 🚀",
            "params.`größe_温度` = 'naïve 日本語 🚀'",
        ),
        Odd("unicode tag", "tags", "größe_温度", "Ünïcödé", "tags.`größe_温度` = 'Ünïcödé'"),
        Odd("unicode metric", "metrics", "größe_温度", 1.5, "metrics.`größe_温度` > 1"),
        Odd("key of 250 characters, parameter", "params", long_key, "1", f"params.`{long_key}` = '1'"),
        Odd("key of 250 characters, tag", "tags", long_key, "1", f"tags.`{long_key}` = '1'"),
        Odd("key of 250 characters, metric", "metrics", long_key, 2.5, f"metrics.`{long_key}` > 2"),
    ]


def try_all(side: Side, experiment: str) -> dict[str, str]:
    """By odd value, what became of it: `logged, found`, `logged, not found`, `refused`, and so on."""
    return {odd.name: _outcome(side, experiment, odd) for odd in odd_values()}


def _outcome(side: Side, experiment: str, odd: Odd) -> str:
    try:
        return _try(side, experiment, odd)
    except (OSError, OverLimitError, WrongAnswerError) as error:
        return f"failed: {type(error).__name__} {str(error)[:80]}"


def _try(side: Side, experiment: str, odd: Odd) -> str:
    with side.connect(60) as wire:
        run_id = wire.write(f"{API}/runs/create", {"experiment_id": experiment, "start_time": 0})["run"]["info"][
            "run_id"
        ]
        entry: dict[str, Any] = {"key": odd.key, "value": _for_json(odd.sent)}
        if odd.kind == "metrics":
            entry |= {"timestamp": 1, "step": 0}
        try:
            wire.post(f"{API}/runs/log-batch", {"run_id": run_id, odd.kind: [entry]})
        except WrongAnswerError as error:
            return "refused" if " 400 " in str(error) else f"failed: {str(error)[:80]}"
        held = wire.read(f"{API}/runs/get", run_id=run_id)["run"]["data"].get(odd.kind, [])
        seen = next((each.get("value", 0.0) for each in held if each["key"] == odd.key), None)
        if isinstance(seen, str) and str(odd.sent).startswith(seen) and seen != odd.sent:
            # MLflow's own limit, which it keeps by cutting.
            logged = f"cut to {len(seen):,} characters"
        elif _same(odd.sent, seen):
            logged = "logged"
        else:
            return f"changed to {seen}"
        if odd.filter is None:
            return logged
        found = _found(wire, experiment, odd.filter)
        return f"{logged}, found" if found == run_id else f"{logged}, not found"


def _found(wire: Wire, experiment: str, text: str) -> str | None:
    body = {"experiment_ids": [experiment], "filter": text, "max_results": 1, "order_by": ["start_time ASC"]}
    with suppress(WrongAnswerError, OverLimitError):
        runs = wire.write(f"{API}/runs/search", body).get("runs", [])
        return str(runs[0]["info"]["run_id"]) if runs else None
    return None


def _for_json(value: str | float) -> str | float:
    """Protobuf's JSON has words for what JSON has no numbers for."""
    if isinstance(value, str) or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _same(sent: str | float, seen: object) -> bool:
    if isinstance(sent, str) or (isinstance(seen, str) and math.isfinite(sent)):
        return sent == seen
    compare: Callable[[float], bool] = (
        math.isnan if math.isnan(sent) else lambda got: got in (sent, math.copysign(HUGE, sent))
    )
    return seen is not None and (compare(float(str(seen))) or sent == seen)

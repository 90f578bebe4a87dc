"""Edge cases: values that are easy to lose. Does each system log, return and find them, and do all agree?"""

from __future__ import annotations

import math
import random
import string
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from bench.connection import API, Connection, OverLimitError, WrongAnswerError
from bench.systems import System

HUGE = 1.7976931348623157e308
"""The value that MLflow stores for infinity."""


@dataclass(frozen=True)
class EdgeCase:
    name: str
    kind: str
    """metrics, params or tags."""
    key: str
    sent: str | float
    filter: str | None
    """A filter that finds the run by the value. None if MLflow's syntax has none."""


def noise(length: int) -> str:
    """Random letters and digits, which do not compress. The same length returns the same text."""
    return "".join(random.Random(length).choices(string.ascii_letters + string.digits, k=length))


def edge_cases() -> list[EdgeCase]:
    long_key = ("long-key-" * 28)[:250]
    tag, param = noise(8_000), noise(6_000)
    return [
        EdgeCase("tag of 8,000 characters", "tags", "long", tag, f"tags.long = '{tag}'"),
        EdgeCase(
            "parameter of 8,000 characters", "params", "long", noise(8_000), f"params.long LIKE '{noise(8_000)[:20]}%'"
        ),
        EdgeCase("parameter of 6,000 characters", "params", "long6", param, f"params.long6 = '{param}'"),
        EdgeCase("metric NaN", "metrics", "nan", math.nan, None),
        EdgeCase("metric +infinity", "metrics", "up", math.inf, "metrics.up > 1e300"),
        EdgeCase("metric -infinity", "metrics", "down", -math.inf, "metrics.down < -1e300"),
        EdgeCase(
            "unicode parameter",
            "params",
            "größe_温度",
            "naïve 日本語 🚀",
            "params.`größe_温度` = 'naïve 日本語 🚀'",
        ),
        EdgeCase("unicode tag", "tags", "größe_温度", "Ünïcödé", "tags.`größe_温度` = 'Ünïcödé'"),
        EdgeCase("unicode metric", "metrics", "größe_温度", 1.5, "metrics.`größe_温度` > 1"),
        EdgeCase("key of 250 characters, parameter", "params", long_key, "1", f"params.`{long_key}` = '1'"),
        EdgeCase("key of 250 characters, tag", "tags", long_key, "1", f"tags.`{long_key}` = '1'"),
        EdgeCase("key of 250 characters, metric", "metrics", long_key, 2.5, f"metrics.`{long_key}` > 2"),
    ]


def log_all(system: System, experiment: str) -> dict[str, str]:
    """For each edge case, the outcome: `logged, found`, `logged, not found`, `refused` and so on."""
    return {case.name: _outcome(system, experiment, case) for case in edge_cases()}


def _outcome(system: System, experiment: str, case: EdgeCase) -> str:
    try:
        return _try(system, experiment, case)
    except (OSError, OverLimitError, WrongAnswerError) as error:
        return f"failed: {type(error).__name__} {str(error)[:80]}"


def _try(system: System, experiment: str, case: EdgeCase) -> str:
    with system.connect(60) as connection:
        run_id = connection.post_json(f"{API}/runs/create", {"experiment_id": experiment, "start_time": 0})["run"][
            "info"
        ]["run_id"]
        entry: dict[str, Any] = {"key": case.key, "value": _for_json(case.sent)}
        if case.kind == "metrics":
            entry |= {"timestamp": 1, "step": 0}
        try:
            connection.post(f"{API}/runs/log-batch", {"run_id": run_id, case.kind: [entry]})
        except WrongAnswerError as error:
            return "refused" if " 400 " in str(error) else f"failed: {str(error)[:80]}"
        held = connection.get_json(f"{API}/runs/get", run_id=run_id)["run"]["data"].get(case.kind, [])
        seen = next((each.get("value", 0.0) for each in held if each["key"] == case.key), None)
        if isinstance(seen, str) and str(case.sent).startswith(seen) and seen != case.sent:
            # MLflow truncates values that are longer than its own limit.
            logged = f"cut to {len(seen):,} characters"
        elif _same(case.sent, seen):
            logged = "logged"
        else:
            return f"changed to {seen}"
        if case.filter is None:
            return logged
        found = _found(connection, experiment, case.filter)
        return f"{logged}, found" if found == run_id else f"{logged}, not found"


def _found(connection: Connection, experiment: str, text: str) -> str | None:
    body = {"experiment_ids": [experiment], "filter": text, "max_results": 1, "order_by": ["start_time ASC"]}
    with suppress(WrongAnswerError, OverLimitError):
        runs = connection.post_json(f"{API}/runs/search", body).get("runs", [])
        return str(runs[0]["info"]["run_id"]) if runs else None
    return None


def _for_json(value: str | float) -> str | float:
    """JSON has no NaN and infinity. Protobuf writes them as strings."""
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

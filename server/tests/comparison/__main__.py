"""Runs the scripts at the same time, each in a process that is forked from this one, which has imported MLflow.

Reads JSON from its input: by the name of each script, its arguments. Prints JSON: by the same names, what they return.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
from collections.abc import Callable
from typing import Any

from . import searches, traces

SCRIPTS: dict[str, Callable[..., dict[str, Any]]] = {
    "searches": searches.main,
    "traces": traces.main,
}


def main() -> None:
    asked = json.load(sys.stdin)
    # None has a process of another: the faster store changes MLflow's functions for good.
    with multiprocessing.get_context("fork").Pool(len(asked), maxtasksperchild=1) as pool:
        started = {name: pool.apply_async(SCRIPTS[name], arguments) for name, arguments in asked.items()}
        print(json.dumps({name: outcome.get() for name, outcome in started.items()}))


if __name__ == "__main__":
    main()

"""What is said while it goes on: lines of JSON, which `python -m ops import` shows as it likes."""

from __future__ import annotations

import json
import time

_PAUSE = 0.5
"""Seconds between two lines on the same thing."""


def tell(**event: object) -> None:
    """Say one thing."""
    print(json.dumps(event), flush=True)


class Counter:
    """How far something is that has a known number of steps."""

    def __init__(self, phase: str, what: str, of: int) -> None:
        self._about = {"phase": phase, "table": what}
        self._of = of
        self._rows = 0
        self._said = 0.0

    def add(self, rows: int) -> None:
        """So many steps are done."""
        self._rows += rows
        now = time.monotonic()
        if now - self._said >= _PAUSE or self._rows >= self._of:
            self._said = now
            tell(**self._about, rows=self._rows, of=self._of)

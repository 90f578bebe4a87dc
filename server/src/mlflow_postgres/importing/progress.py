"""Prints the events of an import as lines of JSON for `python -m ops import`. See `contract.import_events`."""

from __future__ import annotations

import json
import time

_PAUSE = 0.5
"""Seconds between two lines of one counter."""


def emit(**event: object) -> None:
    """Print one event."""
    print(json.dumps(event), flush=True)


class Counter:
    """Prints the progress of a phase with a known number of rows."""

    def __init__(self, phase: str, what: str, of: int) -> None:
        self._about = {"phase": phase, "table": what}
        self._of = of
        self._rows = 0
        self._said = 0.0

    def add(self, rows: int) -> None:
        """Count rows as done."""
        self._rows += rows
        now = time.monotonic()
        if now - self._said >= _PAUSE or self._rows >= self._of:
            self._said = now
            emit(**self._about, rows=self._rows, of=self._of)

"""What an import says, as it is shown: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.text import Text

Event = dict[str, Any]

_DOING = {"read": "reading", "examine": "examining", "write": "writing", "check": "checking"}
_DONE = {"read": "read", "examine": "examined", "write": "wrote", "check": "checked"}


class _Rate(TextColumn):
    """Rows a second."""

    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f} rows/s" if task.speed else "")


class Progress:
    """Shows events as they come. Everything else that is printed meanwhile goes above the bar."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(file=sys.stdout, highlight=False, markup=False)
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            _Rate(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task: TaskID | None = None
        self._total = 0
        self._done: dict[tuple[str, str], int] = {}

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def show(self, event: Event) -> None:
        """Show one event."""
        if "plan" in event:
            # Each row is written, and read back.
            self._total = sum(self._done.values()) + 2 * sum(event["plan"].values())
        if self._console.is_terminal and "phase" in event:
            self._advance(event)
            return
        for line in lines(event):
            self._console.print(line, soft_wrap=True)

    def _advance(self, event: Event) -> None:
        # Artifacts are files, and not of the same kind as rows.
        rows = event["table"] != "artifacts"
        self._done[event["phase"], event["table"]] = event["rows"]
        if self._task is None:
            self._task = self._bar.add_task("")
        self._bar.update(
            self._task,
            # While it is read, nobody knows how much it will be.
            total=self._total or None,
            description=f"{_DOING[event['phase']]} {event['table']}",
            completed=sum(done for (_, table), done in self._done.items() if table != "artifacts") if rows else 0,
        )


def lines(event: Event) -> Iterator[str]:
    """An event in words, for whoever reads it later; nothing for a step on the way."""
    match event:
        case {"note": note}:
            yield str(note)
        case {"plan": plan, "clashes": clashes, "clash": clash}:
            yield from planned(plan, clashes, clash)
        case {"phase": phase, "table": table, "rows": rows, "of": of} if rows >= of and of:
            yield f"{_DONE[phase]} {table}: {rows:,}"
        case {"compared": compared}:
            yield _compared(compared)
        case {"committed": True}:
            yield "committed: it is in the database from now on"
        case {"done": rows, "file": file}:
            yield f"imported {rows:,} rows; the comparison is kept as {file}"


def planned(plan: dict[str, int], clashes: list[str], clash: str) -> Iterator[str]:
    """What is to come, and what stands in its way."""
    width = max(map(len, plan), default=0)
    for table, rows in plan.items():
        yield f"{table:{width}}  {rows:>12,} rows"
    if clashes and clash == "refuse":
        yield f"names that are taken: {', '.join(clashes)}"


def _compared(table: Event) -> str:
    if table["same"]:
        return f"same on both sides: {table['table']}, {table['rows']:,} rows, checksum {table['checksum']}"
    return (
        f"DIFFERENT: {table['table']}, {table['rows']:,} rows with checksum {table['checksum']} were to come, "
        f"{table['rows_found']:,} with {table['checksum_found']} are there"
    )

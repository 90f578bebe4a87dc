"""Shows the events of an import: as a progress bar on a terminal, otherwise as lines."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.text import Text

from contract.import_events import Committed, Compared, Comparison, Done, Event, Note, Phase, Plan
from contract.import_events import Progress as Step

_DOING: dict[Phase, str] = {"read": "reading", "examine": "examining", "write": "writing", "check": "checking"}
_DONE: dict[Phase, str] = {"read": "read", "examine": "examined", "write": "wrote", "check": "checked"}


class _Rate(TextColumn):
    """Rows a second."""

    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f} rows/s" if task.speed else "")


class Progress:
    """Shows events as they arrive. Other output is printed above the bar."""

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
        self._done: dict[tuple[Phase, str], int] = {}

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def show(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, Plan):
            # Each row is written and read back.
            self._total = sum(self._done.values()) + 2 * sum(event.plan.values())
        if self._console.is_terminal and isinstance(event, Step):
            self._advance(event)
            return
        for line in lines(event):
            self._console.print(line, soft_wrap=True)

    def _advance(self, step: Step) -> None:
        # Artifacts are files: their number cannot be added to that of rows.
        rows = step.table != "artifacts"
        self._done[step.phase, step.table] = step.rows
        if self._task is None:
            self._task = self._bar.add_task("")
        self._bar.update(
            self._task,
            # While the store is read, the total is unknown.
            total=self._total or None,
            description=f"{_DOING[step.phase]} {step.table}",
            completed=sum(done for (_, table), done in self._done.items() if table != "artifacts") if rows else 0,
        )


def lines(event: Event) -> Iterator[str]:
    """The lines of an event; none for an intermediate step."""
    match event:
        case Note(note=note):
            yield note
        case Plan():
            yield from planned(event)
        case Step(phase=phase, table=table, rows=rows, of=of) if rows >= of and of:
            yield f"{_DONE[phase]} {table}: {rows:,}"
        case Compared(compared=comparison):
            yield _compared(comparison)
        case Committed():
            yield "committed: the import is in the database"
        case Done(done=rows, file=file):
            yield f"imported {rows:,} rows; the comparison is in {file}"


def planned(event: Plan) -> Iterator[str]:
    """The rows that will be imported, and the names that exist in both stores."""
    width = max(map(len, event.plan), default=0)
    for table, rows in event.plan.items():
        yield f"{table:{width}}  {rows:>12,} rows"
    if event.clashes and event.clash == "refuse":
        yield f"names that exist already: {', '.join(event.clashes)}"


def _compared(table: Comparison) -> str:
    if table.same:
        return f"same on both sides: {table.table}, {table.rows:,} rows, checksum {table.checksum}"
    return (
        f"DIFFERENT: {table.table}, wrote {table.rows:,} rows with checksum {table.checksum}, "
        f"read back {table.rows_found:,} rows with checksum {table.checksum_found}"
    )

"""Prints tables to the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table as RichTable

from bench.report import Table


def show(made: Sequence[Table]) -> None:
    """Print tables to standard output, in the width of the terminal, or 200 columns if it is not a terminal."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    for table in made:
        shown = RichTable(title=table.title, title_justify="left")
        for name in table.header:
            shown.add_column(name, overflow="fold")
        for row in table.rows:
            shown.add_row(*(cell.replace("**", "") for cell in row))
        console.print(shown)

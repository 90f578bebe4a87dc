"""What an import says, in lines and as a bar."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from contract.import_events import Committed, Committing, Compared, Comparison, Plan
from contract.import_events import Progress as Step
from ops.import_progress import Progress, lines


def test_the_commit_is_printed() -> None:
    assert list(lines(Committed())) == ["committed: the import is in the database"]
    assert list(lines(Committing())) == []


def test_a_difference_is_shown_with_both_sides() -> None:
    table = Comparison(table="runs", rows=2, rows_found=1, checksum="a", checksum_found="b", same=False)
    assert list(lines(Compared(compared=table))) == [
        "DIFFERENT: runs, wrote 2 rows with checksum a, read back 1 rows with checksum b"
    ]
    assert list(lines(Compared(compared=replace(table, same=True)))) == ["same on both sides: runs, 2 rows, checksum a"]


def test_existing_names_are_part_of_the_plan() -> None:
    event = Plan(plan={"runs": 1}, clashes=["experiment 'a'"], clash="refuse")
    assert list(lines(event))[-1] == "names that exist already: experiment 'a'"


def test_intermediate_steps_are_only_in_the_bar() -> None:
    assert list(lines(Step(phase="write", table="runs", rows=1, of=2))) == []


def test_a_terminal_shows_the_current_step() -> None:
    written = io.StringIO()
    with Progress(Console(file=written, force_terminal=True, width=120)) as progress:
        progress.show(Plan(plan={"runs": 4}, clashes=[], clash="refuse"))
        progress.show(Step(phase="write", table="artifacts", rows=1, of=1))
        progress.show(Step(phase="write", table="runs", rows=4, of=4))
    assert "writing runs" in written.getvalue()
    assert "50 %" in written.getvalue()

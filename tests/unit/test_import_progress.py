"""What an import says, in lines and as a bar."""

from __future__ import annotations

import io

from rich.console import Console

from ops.import_progress import Progress, lines


def test_the_commit_is_told() -> None:
    assert list(lines({"committed": True})) == ["committed: it is in the database from now on"]
    assert list(lines({"committing": True})) == []


def test_a_difference_is_shown_with_both_sides() -> None:
    table = {"table": "runs", "rows": 2, "rows_found": 1, "checksum": "a", "checksum_found": "b", "same": False}
    assert list(lines({"compared": table})) == [
        "DIFFERENT: runs, 2 rows with checksum a were to come, 1 with b are there"
    ]
    assert list(lines({"compared": {**table, "same": True}})) == ["same on both sides: runs, 2 rows, checksum a"]


def test_names_that_are_taken_are_part_of_what_would_come() -> None:
    event = {"plan": {"runs": 1}, "clashes": ["experiment 'a'"], "clash": "refuse"}
    assert list(lines(event))[-1] == "names that are taken: experiment 'a'"


def test_steps_on_the_way_are_for_the_bar_alone() -> None:
    assert list(lines({"phase": "write", "table": "runs", "rows": 1, "of": 2})) == []


def test_a_terminal_shows_what_is_being_done() -> None:
    written = io.StringIO()
    with Progress(Console(file=written, force_terminal=True, width=120)) as progress:
        progress.show({"plan": {"runs": 4}, "clashes": [], "clash": "refuse"})
        progress.show({"phase": "write", "table": "artifacts", "rows": 1, "of": 1})
        progress.show({"phase": "write", "table": "runs", "rows": 4, "of": 4})
    assert "writing runs" in written.getvalue()
    assert "50 %" in written.getvalue()

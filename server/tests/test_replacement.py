"""ADR 10 lists every attribute of other people's code that is replaced."""

from __future__ import annotations

import re

from . import CHECKOUT

SOURCES = CHECKOUT / "server" / "src" / "mlflow_postgres"
DECISION = CHECKOUT / "docs" / "adr" / "0010-mlflow-store.md"
USE = re.compile(r"\breplace\((?P<owner>[\w.]+), (?P<name>\w+)=")
ROW = re.compile(r"\| `(?P<owner>[\w.]+)\.(?P<name>\w+)` \| `(?P<file>[\w/]+\.py)` \|")


def test_the_decision_page_lists_all_that_is_replaced() -> None:
    replaced = {
        (use["owner"], use["name"], str(path.relative_to(SOURCES)))
        for path in SOURCES.rglob("*.py")
        if "replacement import replace\n" in (text := path.read_text())
        for use in USE.finditer(text)
    }
    listed = {(row["owner"], row["name"], row["file"]) for row in ROW.finditer(DECISION.read_text())}
    assert replaced == listed
    assert len(replaced) <= 5


def test_nothing_is_replaced_in_another_way() -> None:
    files = [path for path in SOURCES.rglob("*.py") if "setattr(" in path.read_text()]
    # `merges.py` changes subclasses of ours.
    assert {path.name for path in files} == {"replacement.py", "merges.py"}

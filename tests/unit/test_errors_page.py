"""docs/errors.md explains every error by its code, and none that nobody raises."""

from __future__ import annotations

import re
from itertools import chain

from contract.errors import ArgumentError, UserError, report
from mlflow_postgres.errors import Failed, Refused

from .deploy import CHECKOUT

ROOMS = ("components", "config", "contract", "ops", "preflight", "server/src", "toolchain")
_CALL = r"\b(?:UserError|ArgumentError|EngineError|Failure|Refused|Failed|SettingError)\(\s*"
RAISED = re.compile(rf'{_CALL}"([a-z0-9]+(?:-[a-z0-9]+)+)"')
EXPLAINED = re.compile(r"^\| `([a-z0-9-]+)` \| [^|]+ \| [^|]+ \|$", re.MULTILINE)


def raised() -> set[str]:
    """The codes in the sources. Each is the first argument of its error, as a literal."""
    sources = chain.from_iterable(sorted((CHECKOUT / room).rglob("*.py")) for room in ROOMS)
    return {code for path in sources for code in RAISED.findall(path.read_text())}


def test_every_code_is_explained_once_in_order_and_no_other_is() -> None:
    explained = EXPLAINED.findall((CHECKOUT / "docs" / "errors.md").read_text())
    assert explained == sorted(raised()), "a new error needs a line: its code, the meaning, what to do"


def test_every_error_has_its_code_as_a_literal() -> None:
    """Else the page's list would miss it."""
    calls = re.compile(
        r"(?<!class )\b(UserError|ArgumentError|EngineError|Failure|Refused|Failed)\((?!UserError\b|\)|\s*\")"
    )
    variable = {
        path.name
        for room in set(ROOMS) - {"config"}
        for path in (CHECKOUT / room).rglob("*.py")
        if re.search(calls, re.sub(r"class \w+\(\w+\)", "", path.read_text()))
    }
    assert variable == {"importing.py"}, "it relays the import's errors, whose codes are literals in server/"


def test_a_user_sees_the_code_what_was_seen_the_rule_and_the_remedy() -> None:
    error = ArgumentError("port-out-of-range", "mlflow.port", 80, rule="1024 at least", accepted=5000)
    assert str(error) == "mlflow.port is 80: 1024 at least. Mend it with: mlflow.port=5000"
    assert error.report == f"[port-out-of-range] {error}"
    assert report([error, error, UserError("not-up", "it is not up")]) == f"{error.report}\n[not-up] it is not up"


def test_a_refusal_says_once_that_nothing_was_changed() -> None:
    refused = Refused("name-taken", "a", rule="the name exists already", remedy="skip")
    assert refused.report == "[name-taken] a: the name exists already; nothing was changed. Mend it with: skip"
    assert Failed("rows-differ", "b", remedy="again").report == "[rows-differ] b. Mend it with: again"

"""tests/README.md: each promise names tests that are there."""

from __future__ import annotations

import ast
import re

from .deploy import CHECKOUT

PAGE = CHECKOUT / "tests" / "README.md"


def test_each_promise_names_existing_tests() -> None:
    named = re.findall(r"`((?:(?:tests/unit|server/tests)/)?test_\w+\.py)(?:::(\w+))?`", PAGE.read_text())
    assert len(named) > 80
    for file, test in named:
        path = CHECKOUT / file if "/" in file else CHECKOUT / "tests" / "integration" / file
        assert path.is_file(), file
        functions = {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}
        assert not test or test in functions, f"{file}::{test}"


def test_each_module_holds_a_promise() -> None:
    promises = PAGE.read_text().partition("## Which test")[2].partition("## What was merged")[0]
    modules = {path.name for path in (CHECKOUT / "tests" / "integration").glob("test_*.py")}
    assert {module for module in modules if module not in promises} == set()

"""Every error message that the project raises, read from its source: its first phrase, with … for what varies."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from .deploy import CHECKOUT

RAISED = {"RunError", "EngineError", "StackError", "Refused", "Failed", "Failure"}
"""The errors whose text a user reads. The first argument is the message."""
ROOMS = ("components", "preflight", "ops", "toolchain", "images/mlflow")
SHELL = (
    "bin/pulumi",
    "images/postgres/bin/serve",
    "images/postgres/bin/prepare-database",
    "images/postgres/bin/write-rules",
)

Function = ast.FunctionDef | ast.AsyncFunctionDef


def messages() -> set[str]:
    """All of them."""
    python = (found for room in ROOMS for path in sorted((CHECKOUT / room).rglob("*.py")) for found in raised(path))
    shell = (found for name in SHELL for found in refused(CHECKOUT / name))
    return {text for text in map(told, itertools.chain(python, shell)) if len(re.findall(r"[a-z]{2,}", text)) > 1}


def told(text: str) -> str:
    """The first phrase of a message: what is wrong. What follows it are details and the remedy."""
    first = re.split(r"; | \(|\. |[ ,:;.]*\b[Mm]end\b", re.sub(r"…([-:.]? ?…)+", "…", text).replace('["…"]', ".…"))[0]
    return re.sub(r"(:? …|:| ')$", "", " ".join(first.split())).strip(" .,")


def raised(path: Path) -> Iterator[str]:
    """The messages of one module's errors."""
    functions = {node.name: node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, Function)}
    for function in functions.values():
        for node in ast.walk(function):
            match node:
                case (
                    ast.Raise(exc=ast.Call(func=error, args=[message, *_]))
                    | ast.Yield(value=ast.Call(func=error, args=[message, *_]))
                ) if name_of(error) in RAISED:
                    yield from texts(message, function, functions)
                case (
                    ast.Raise(exc=ast.Call(func=ast.Name(id="bad_setting"), args=[_, _, rule, _]))
                    | ast.Yield(value=ast.Call(func=ast.Name(id="bad_setting"), args=[_, _, rule, _]))
                ):
                    yield from texts(rule, function, functions)
                case ast.Call(func=ast.Name(id="print"), args=[message], keywords=[ast.keyword(arg="file"), *_]):
                    yield from texts(message, function, functions)


def name_of(called: ast.expr) -> str:
    """The last part of what is called, such as RunError of pulumi.RunError."""
    return ast.unparse(called).rpartition(".")[2]


def texts(node: ast.expr | None, function: Function, functions: dict[str, Function]) -> list[str]:
    """What an expression may be as text: of a name, whatever the function gives it; of a call, what comes back."""
    match node:
        case ast.Constant(value=str(text)):
            return [text or "…"]
        case ast.JoinedStr(values=parts):
            return [
                "".join(chosen) for chosen in itertools.product(*(texts(part, function, functions) for part in parts))
            ]
        case ast.FormattedValue(value=ast.Name() as name):
            return texts(name, function, functions)
        case ast.IfExp(body=one, orelse=other):
            return [*texts(one, function, functions), *texts(other, function, functions)]
        case ast.Name(id=name):
            return each(given(name, function), function, functions) or ["…"]
        case ast.Call(func=ast.Name(id=name)) if name in functions:
            called = functions[name]
            return each(
                (returned.value for returned in ast.walk(called) if isinstance(returned, ast.Return)), called, functions
            )
        case _:
            return ["…"]


def each(nodes: Iterable[ast.expr | None], function: Function, functions: dict[str, Function]) -> list[str]:
    return [text for node in nodes for text in texts(node, function, functions)]


def given(name: str, function: Function) -> Iterator[ast.expr]:
    for node in ast.walk(function):
        match node:
            case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                yield value
            case ast.NamedExpr(target=ast.Name(id=target), value=value) if target == name:
                yield value


def refused(path: Path) -> Iterator[str]:
    """The messages of one shell script's refusals."""
    for found in re.findall(r'\b(?:refuse|fail)(?: |\\\n)+((?:"[^"]*"(?: |\\\n)*)+)', path.read_text()):
        text = " ".join(re.findall(r'"([^"]*)"', found))
        yield re.sub(r"\$\([^)]*\)|\$\{[^}]*\}|\$\w+", "…", text)

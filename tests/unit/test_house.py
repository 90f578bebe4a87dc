"""The rooms of the house: who may use whom, who reads configuration, who creates containers. Read from the source."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from .deploy import CHECKOUT, everything
from .fake_engine import FakeEngine

# Which rooms a room may use beside itself.
MAY_USE = {
    "__main__": {"components", "config", "contract", "preflight"},
    "contract": set[str](),
    "components": {"contract"},
    "config": {"components", "contract"},
    "preflight": {"components", "contract"},
    "ops": {"contract", "preflight"},
    "bench": {"components", "contract", "preflight", "ops"},
    "server": {"contract"},
    "toolchain": {"contract"},
}
ROOMS = {*MAY_USE, "docs", "examples", "tests"}


def sources(room: str) -> list[Path]:
    if room == "__main__":
        return [CHECKOUT / "__main__.py"]
    return sorted((CHECKOUT / room).rglob("*.py"))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imported(path: Path) -> Iterator[str]:
    """The full names of the modules, and of what is taken from them, that a file imports from elsewhere."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield from (f"{node.module}.{each.name}" for each in node.names)


def attributes(path: Path) -> set[str]:
    """Everything that a file takes out of a module, such as docker.Container."""
    return {ast.unparse(node) for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute)}


@pytest.mark.parametrize("room", MAY_USE)
def test_a_package_imports_only_those_below_it(room: str) -> None:
    used = {(path.name, name.partition(".")[0]) for path in sources(room) for name in imported(path)}
    wrong = {(file, other) for file, other in used if other in ROOMS - MAY_USE[room] - {room}}
    assert wrong == set(), "arrows go down only"


def test_the_contract_uses_the_standard_library_alone() -> None:
    used = {name.partition(".")[0] for path in sources("contract") for name in imported(path)}
    assert used <= sys.stdlib_module_names, "an image would have to install what it imports"


def test_an_image_holds_no_python() -> None:
    assert list((CHECKOUT / "images").rglob("*.py")) == [], "server/ is the package, with its types and its tests"


def test_no_package_imports_the_toolchain() -> None:
    outside = [path for room in MAY_USE if room != "toolchain" for path in sources(room)]
    outside += [path for path in sources("tests/integration") if path.name != "test_toolchain.py"]
    knowing = {path.name for path in outside for name in imported(path) if name.partition(".")[0] == "toolchain"}
    assert knowing == set(), "a machine that has Docker and Pulumi needs none of it"


def test_only_the_settings_read_configuration() -> None:
    rooms = [path for room in ("__main__", "components", "config", "preflight", "ops") for path in sources(room)]
    readers = {
        path.name
        for path in rooms
        if any(name.endswith(".Config") for name in {*attributes(path), *imported(path)})
        or any(name.startswith("pulumi.runtime") for name in imported(path))
    }
    assert readers == {"settings.py"}, "a component that reads configuration is of no use to another program"


def test_only_the_engine_package_creates_containers() -> None:
    creators = {
        path.name
        for room in ("__main__", "components")
        for path in sources(room)
        if {"docker.Container", "docker.Service"} & attributes(path)
        or any(name.startswith("pulumi_docker.") for name in imported(path))
    }
    assert creators == {"docker_host.py"}


def test_components_reach_neither_the_network_nor_other_programs_while_planning() -> None:
    reaching = {"socket", "subprocess", "urllib", "requests", "http", "docker", "os"}
    names = {name for path in sources("components") for name in imported(path)} - {"urllib.parse.urlsplit"}
    assert {name.partition(".")[0] for name in names} & reaching == set()


def test_in_ops_only_the_docker_runtime_imports_docker() -> None:
    knowing = {
        path.name
        for path in sources("ops")
        for name in imported(path)
        if name.partition(".")[0] in ("docker", "requests")
    }
    assert knowing == {"docker_runtime.py"}, "another engine would have to be another runtime and no more"


def test_the_commands_before_an_up_do_not_import_pulumi() -> None:
    loaded = "import sys, ops.launch, ops.recover, ops.docker_runtime; sys.exit('pulumi' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], cwd=CHECKOUT, check=False).returncode == 0


def test_the_program_only_wires() -> None:
    program = CHECKOUT / "__main__.py"
    assert len(program.read_text().splitlines()) < 40
    assert not {name for name in attributes(program) if name.endswith(".apply")}
    deciding = [node for node in ast.walk(tree(program)) if isinstance(node, ast.If | ast.While | ast.Try)]
    assert deciding == []


def test_a_component_creates_nothing_inside_apply() -> None:
    """A resource made inside apply is missing from the preview; that none is missing there is in test_order.py."""
    making = {(path.name, call) for path in sources("components") for call in called_inside_apply(path)}
    harmless = {"str", "pulumi.RunError", "_failure"}
    assert {(file, call) for file, call in making if call not in harmless} == set()
    assert {file for file, _ in making} == {"docker_host.py"}, "the functions that are handed to apply are seen"


def called_inside_apply(path: Path) -> Iterator[str]:
    """Everything that is called by a function of this file that is handed to `apply`."""
    functions = {node.name: node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef)}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "apply":
            (handed,) = node.args
            body = handed if isinstance(handed, ast.Lambda) else functions[ast.unparse(handed)]
            yield from (ast.unparse(each.func) for each in ast.walk(body) if isinstance(each, ast.Call))


def test_a_workload_names_no_engine_and_a_service_no_resource_of_one() -> None:
    knowing = {path.name for path in sources("components") if any("pulumi_docker" in name for name in imported(path))}
    assert knowing == {"docker_host.py"}, "another engine is another file beside this one, and no more"
    assert relative(CHECKOUT / "components" / "engine" / "workload.py") == set()
    above = {"platform", "outputs", "validation", "engine.docker_host"}
    for folder in ("services", "database"):
        for path in sources(f"components/{folder}"):
            assert relative(path) & above == set(), f"{path.name}: arrows go down only"
    for path in sources("components/database"):
        assert not {name for name in relative(path) if name.startswith("services")}, f"{path.name}: as above"


def relative(path: Path) -> set[str]:
    """The modules of its own room that a file imports."""
    return {
        name
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ImportFrom) and node.level
        for name in ([node.module] if node.module else [each.name for each in node.names])
    }


def test_every_component_is_of_our_package_and_named_by_one_noun() -> None:
    engine: FakeEngine = everything()
    types = {each.type for each in engine.registered.values() if each.name in engine.outputs}
    assert {re.fullmatch(r"mlflow-postgres:index:([A-Z][a-z]+|SignIn)", each) is not None for each in types} == {True}


def test_every_make_command_in_a_message_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE))
    rooms = [path for room in ("components", "config", "preflight", "ops", "toolchain") for path in sources(room)]
    texts = [node.value for path in rooms for node in ast.walk(tree(path)) if isinstance(node, ast.Constant)]
    texts.append((CHECKOUT / "bin" / "pulumi").read_text())
    suggested = {
        target
        for text in texts
        if isinstance(text, str)
        for target in re.findall(r"(?:^|[Mm]end it with: |, then |[`(])make ([a-z]+)", text)
    }
    assert suggested, "the messages name some"
    assert suggested <= targets

"""The program itself and its project file: what a person gets who changes nothing."""

from __future__ import annotations

import runpy
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

import preflight
from components import PlatformArgs, Settings

from .deploy import CHECKOUT
from .fake_engine import CONTAINER, PROJECT, FakeEngine, plain
from .project import PROJECT_FILE, as_text, defaults
from .test_outputs import ALWAYS

TYPES = {"str": "string", "int": "integer", "bool": "boolean"}


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[PlatformArgs, str, dict[str, int]]]:
    """What the program asks the host about, with the host left out."""
    asked: list[tuple[PlatformArgs, str, dict[str, int]]] = []
    monkeypatch.setattr(preflight, "check_host", lambda *question: asked.append(question))
    monkeypatch.chdir(CHECKOUT)
    return asked


Checked = list[tuple[PlatformArgs, str, dict[str, int]]]


def stack_files() -> list[Path]:
    return [path for path in CHECKOUT.glob("Pulumi.*.yaml") if not path.name.startswith("Pulumi.it-")]


def chosen(stack_file: Path) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(stack_file.read_text()).get("config") or {}
    return config


def run_program(engine: FakeEngine, **changes: str) -> FakeEngine:
    return engine.run(lambda: runpy.run_path(str(CHECKOUT / "__main__.py")), defaults() | changes)


def test_who_changes_nothing_gets_the_outputs_of_the_contract(engine: FakeEngine, checked: Checked) -> None:
    run_program(engine)
    assert set(engine.exports) == ALWAYS
    assert plain(engine.exports)["tracking_url"] == "http://127.0.0.1:5000"
    assert checked, "what cannot work must stop before anything is touched"


def test_who_changes_nothing_gets_two_services_and_keeps_the_data(engine: FakeEngine, checked: Checked) -> None:
    run_program(engine)
    assert {each.labels["mlflow-postgres.role"] for each in engine.of(CONTAINER).values()} == {"postgres", "mlflow"}
    ((args, prefix, ports),) = checked
    assert (args.keep_data, args.bind_address) == (True, "127.0.0.1")
    assert (prefix, ports) == ("mlflow-postgres-dev", {"mlflowPort": 5000})


def test_every_setting_reaches_the_platform(engine: FakeEngine, checked: Checked) -> None:
    changes = {
        "mlflowPort": "6001",
        "postgresVersion": "16.4",
        "postgresPort": "6002",
        "postgresDatabase": "runs",
        "postgresUser": "tracker",
        "adminer": "true",
        "adminerPort": "6003",
        "bindAddress": "192.0.2.7",
        "keepData": "false",
        "postgresImage": "one",
        "pythonImage": "two",
        "debianImage": "three",
    }
    run_program(engine, **changes)
    ((args, _, ports),) = checked
    assert args == PlatformArgs(
        images=Path("images"),
        mlflow_version=defaults()["mlflowVersion"],
        postgres_major=16,
        postgres_base="one",
        python_base="two",
        debian_base="three",
        database="runs",
        user="tracker",
        bind_address="192.0.2.7",
        mlflow_port=6001,
        postgres_port=6002,
        adminer_port=6003,
        keep_data=False,
    )
    assert ports == {"mlflowPort": 6001, "postgresPort": 6002, "adminerPort": 6003}
    assert set(changes) == set(defaults()) - {"mlflowVersion"}, "a setting without a test here may reach nothing"
    assert set(engine.exports) == {*ALWAYS, "adminer_url"}


def test_a_bad_setting_stops_the_program_before_the_host_is_looked_at(engine: FakeEngine, checked: Checked) -> None:
    with pytest.raises(Exception, match="mlflowPort is 80: "):
        run_program(engine, mlflowPort="80")
    assert (checked, engine.registered) == ([], {})


def test_the_images_folder_goes_into_the_state_as_a_relative_path(engine: FakeEngine, checked: Checked) -> None:
    run_program(engine)
    ((args, _, _),) = checked
    contexts = {image.context.as_posix() for image in args.image_builds.values()}
    assert contexts == {"images/postgres", "images/mlflow"}, "else the plan changes with the checkout's place"


def test_the_project_file_declares_exactly_the_settings() -> None:
    declared = {key: each["type"] for key, each in PROJECT_FILE["config"].items()}
    assert declared == {_camel(field.name): TYPES[str(field.type)] for field in fields(Settings)}


def test_every_setting_has_a_description_and_a_default() -> None:
    for key, each in PROJECT_FILE["config"].items():
        assert set(each) == {"type", "description", "default"}, key
        assert each["description"].endswith("."), f"{key}: the README shows it as a sentence"


def test_every_default_has_the_type_that_is_declared_for_it() -> None:
    kinds = {"string": str, "integer": int, "boolean": bool}
    wrong = {key for key, each in PROJECT_FILE["config"].items() if type(each["default"]) is not kinds[each["type"]]}
    assert wrong == set(), "a version such as 17 without its quotes is a number"


def test_the_project_is_named_as_its_types_and_labels_are() -> None:
    assert PROJECT_FILE["name"] == PROJECT


@pytest.mark.parametrize("stack_file", stack_files(), ids=lambda path: path.name)
def test_a_stack_file_sets_only_what_is_declared(stack_file: Path) -> None:
    declared = {f"{PROJECT}:{key}" for key in PROJECT_FILE["config"]}
    assert set(chosen(stack_file)) <= declared, "an unknown key would stop the stack"


@pytest.mark.parametrize("stack_file", stack_files(), ids=lambda path: path.name)
def test_a_stack_file_can_be_deployed(engine: FakeEngine, checked: Checked, stack_file: Path) -> None:
    changes = {key.partition(":")[2]: as_text(value) for key, value in chosen(stack_file).items()}
    run_program(engine, **changes)
    assert checked


def test_the_tutorials_stack_is_on_the_ports_that_the_tutorial_names_and_open_to_this_machine_alone() -> None:
    ports = {key.partition(":")[2]: value for key, value in chosen(CHECKOUT / "Pulumi.dev.yaml").items()}
    assert {key: int(value) for key, value in ports.items() if key.endswith("Port")} == {
        "mlflowPort": 8081,
        "postgresPort": 5432,
        "adminerPort": 8080,
    }
    assert ports.get("bindAddress", "127.0.0.1") == "127.0.0.1"


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(word.title() for word in tail)

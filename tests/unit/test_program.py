"""The program itself and its project file: what a person gets who changes nothing."""

from __future__ import annotations

import runpy
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from components import (
    Adminer,
    Limits,
    Metrics,
    MlflowOptions,
    PlatformArgs,
    PostgresOptions,
    PublicEndpoint,
    Tls,
)
from config.names import camel_case, key_of
from config.settings import Settings
from contract import roles
from preflight import host

from .deploy import CERTIFICATE, CHECKOUT, EVERYTHING, IMAGES, TLS_KEY, everything, leaves, services
from .fake_engine import PROJECT, FakeEngine, plain, texts
from .project import CERTIFICATE_FILE, KEY_FILE, PROJECT_FILE, as_text, defaults, load
from .test_outputs import ALWAYS

# Pulumi's project file knows no numbers with a fraction.
TYPES = {
    **{"str": "string", "int": "integer", "bool": "boolean", "float": "string"},
    **{"Mapping[str, str | int | float | bool]": "object", "Sequence[str]": "array"},
}

# Other programs choose these.
NOT_SETTINGS = {
    *("images", "engine", "database_server"),
    *(f"{service}.limits.{limit}" for service in ("mlflow", "postgres") for limit in ("processes", "shared_memory_mb")),
}

EVERY_SETTING = {
    "mlflowPort": "6001",
    "mlflowWorkers": "7",
    "mlflowMemory": "3000",
    "mlflowCpus": "1.5",
    "mlflowJobs": "true",
    "postgresVersion": "16.4",
    "postgresPort": "6002",
    "postgresDatabase": "runs",
    "postgresUser": "tracker",
    "postgresMemory": "1000",
    "postgresCpus": "0.5",
    "postgresSettings": '{"work_mem": "64MB", "max_wal_size": 512, "seq_page_cost": 1.5, "jit": true}',
    "adminer": "true",
    "adminerPort": "6003",
    "metrics": "true",
    "mlflowMetricsPort": "6006",
    "postgresMetricsPort": "6007",
    "bindAddress": "192.0.2.7",
    "hostname": "runs.example.com",
    "allowedHosts": '["runs.lan", "192.0.2.7"]',
    "tls": "files",
    "httpsPort": "6004",
    "httpPort": "6005",
    "acmeEmail": "me@example.com",
    "tlsCertificateFile": str(CERTIFICATE_FILE),
    "tlsKeyFile": str(KEY_FILE),
    "signIn": "true",
    "iUnderstandThisIsOpen": "true",
    "credentialsVersion": "3",
    "gcAfterDays": "30",
    "keepData": "false",
    "protectData": "true",
    "postgresImage": "one",
    "pythonImage": "two",
    "debianImage": "three",
}


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> Checked:
    """What the program asks the host about, with the host left out."""
    asked: Checked = []
    monkeypatch.setattr(host, "check_host", lambda *question: asked.append(question))
    monkeypatch.chdir(CHECKOUT)
    return asked


Checked = list[tuple[PlatformArgs, str]]


def published(args: PlatformArgs) -> dict[str, int]:
    return {key_of(each.argument): each.host for each in args.published_ports}


def stack_files() -> list[Path]:
    return [path for path in CHECKOUT.glob("Pulumi.*.yaml") if not path.name.startswith("Pulumi.it-")]


def chosen(stack_file: Path) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(stack_file.read_text()).get("config") or {}
    return config


def run_program(engine: FakeEngine, **changes: str) -> FakeEngine:
    return engine.run(lambda: runpy.run_path(str(CHECKOUT / "__main__.py")), defaults() | changes)


def test_the_default_settings_give_the_outputs_of_the_contract(engine: FakeEngine, checked: Checked) -> None:
    run_program(engine)
    assert set(engine.exports) == ALWAYS
    assert plain(engine.exports)["tracking_url"] == "http://127.0.0.1:5000"
    assert checked, "what cannot work must stop before anything is touched"


def test_the_default_settings_give_two_services_and_a_job_and_keep_the_data(
    engine: FakeEngine, checked: Checked
) -> None:
    run_program(engine)
    assert services(engine) == {"postgres", "schema", "mlflow"}
    ((args, prefix),) = checked
    ports = published(args)
    assert (args.keep_data, args.protect_data, args.bind_address) == (True, False, "127.0.0.1")
    assert (prefix, ports) == ("mlflow-postgres-dev", {"mlflowPort": 5000})


def test_every_setting_reaches_the_platform(engine: FakeEngine, checked: Checked) -> None:
    run_program(engine, **EVERY_SETTING)
    ((args, _),) = checked
    ports = published(args)
    door = args.endpoint
    assert door is not None
    assert replace(args, endpoint=None) == PlatformArgs(
        images=Path("images"),
        mlflow=MlflowOptions(
            version=defaults()["mlflowVersion"],
            port=6001,
            workers=7,
            jobs=True,
            limits=Limits(memory_mb=3000, cpus=1.5),
        ),
        postgres=PostgresOptions(
            version="16.4",
            image="one",
            database="runs",
            user="tracker",
            port=6002,
            settings={"work_mem": "64MB", "max_wal_size": 512, "seq_page_cost": 1.5, "jit": True},
            limits=Limits(memory_mb=1000, cpus=0.5),
        ),
        sidecars=(Adminer(port=6003),),
        python_image="two",
        debian_image="three",
        bind_address="192.0.2.7",
        allow_open_access=True,
        allowed_hosts=["runs.lan", "192.0.2.7"],
        metrics=Metrics(mlflow_port=6006, postgres_port=6007),
        sign_in=True,
        credentials_version=3,
        gc_after_days=30,
        keep_data=False,
        protect_data=True,
    )
    assert replace(door, key=None) == PublicEndpoint(
        hostname="runs.example.com",
        tls=Tls.FILES,
        https_port=6004,
        http_port=6005,
        acme_email="me@example.com",
        certificate=CERTIFICATE,
    )
    assert ports == {
        **{"httpsPort": 6004, "httpPort": 6005, "postgresPort": 6002, "adminerPort": 6003},
        **{"mlflowMetricsPort": 6006, "postgresMetricsPort": 6007},
    }
    assert set(EVERY_SETTING) == set(defaults()) - {"mlflowVersion"}, "one without a test here may reach nothing"
    assert set(engine.exports) == {
        *(*ALWAYS, "adminer_url", "admin_username", "admin_password"),
        *("mlflow_metrics_url", "postgres_metrics_url"),
    }


def test_the_certificates_key_reaches_the_gateway_and_stays_secret(engine: FakeEngine, checked: Checked) -> None:
    run_program(engine, **EVERY_SETTING)
    assert checked
    found = {
        (name, path, marked)
        for name, each in engine.registered.items()
        for path, text, marked in texts(each.raw)
        if TLS_KEY in text
    }
    assert found == {("mlflow-postgres-gateway-server-courier", "uploads.content", True)}


def test_an_invalid_setting_stops_the_program_before_the_host_is_checked(engine: FakeEngine, checked: Checked) -> None:
    with pytest.raises(Exception, match="mlflowPort is 80: "):
        run_program(engine, mlflowPort="80")
    assert (checked, engine.registered) == ([], {})


def test_the_images_folder_goes_into_the_state_as_a_relative_path(engine: FakeEngine, checked: Checked) -> None:
    run_program(engine)
    ((args, _),) = checked
    contexts = {image.context.as_posix() for image in args.image_builds.values()}
    assert contexts == {"images/postgres", "."}, "else the plan changes with the checkout's place"


def test_the_project_file_declares_exactly_the_settings() -> None:
    declared = {key: each["type"] for key, each in PROJECT_FILE["config"].items()}
    assert declared == {camel_case(field.name): TYPES[str(field.type)] for field in fields(Settings)}


def test_every_setting_has_a_description_and_a_default() -> None:
    for key, each in PROJECT_FILE["config"].items():
        assert set(each) - {"items"} == {"type", "description", "default"}, key
        assert each["description"].endswith("."), f"{key}: the README shows it as a sentence"


def test_every_default_has_the_type_that_is_declared_for_it() -> None:
    kinds = {"string": str, "integer": int, "boolean": bool, "object": dict, "array": list}
    wrong = {key for key, each in PROJECT_FILE["config"].items() if type(each["default"]) is not kinds[each["type"]]}
    assert wrong == set(), "a version such as 17 without its quotes is a number"


def test_the_project_has_the_name_of_its_types_and_labels() -> None:
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


def test_the_tutorials_stack_has_the_tutorials_ports_on_loopback() -> None:
    ports = {key.partition(":")[2]: value for key, value in chosen(CHECKOUT / "Pulumi.dev.yaml").items()}
    assert {key: int(value) for key, value in ports.items() if key.endswith("Port")} == {
        "mlflowPort": 8081,
        "postgresPort": 5432,
        "adminerPort": 8080,
    }
    assert ports.get("bindAddress", "127.0.0.1") == "127.0.0.1"


def test_the_defaults_of_the_project_file_are_those_of_the_component() -> None:
    """The component's are the truth: Pulumi needs its own as literals."""
    assert load({}) == PlatformArgs(images=IMAGES)
    args = load({key: value for key, value in EVERY_SETTING.items() if not key.endswith("Port")})
    assert [each for each in args.published_ports if each.host != each.usual] == [], "of what is switched off"


def test_every_argument_that_an_error_names_is_a_setting() -> None:
    named = {*leaves(EVERYTHING)} - NOT_SETTINGS
    assert {key_of(argument) for argument in named} - set(defaults()) == set(), "its message would name no setting"


def test_every_service_that_a_setting_switches_on_is_one_of_everything(engine: FakeEngine, checked: Checked) -> None:
    run_program(engine, **EVERY_SETTING)
    assert checked
    assert services(engine) - {roles.SETTINGS} == services(everything()), "the tests of all services would skip it"

"""Settings: what is refused, in which words, and that the command in the message mends it."""

from __future__ import annotations

from pathlib import Path

import pulumi
import pytest
import yaml

from config import load as load_arguments

from .deploy import IMAGES
from .fake_engine import FakeEngine
from .project import defaults, load, mended, refusal

NAME = "a name is lower-case letters, digits and _, not a digit first, 63 at most"
PORT = "a port is a number from 1024 to 65535"
MAJORS = "13 to 18"
RELEASE = f'a version of PostgreSQL is a major from {MAJORS}, or a release of one such as "17.6"'
THREE = "a version of MLflow is three numbers such as 3.17.2"
WORKERS = "the server has 2 to 32 workers, so that one can restart while others work"
LONG = "the names of other roles are made of it, so it may have 54 characters"
MEMORY = "it is a number of MiB"
RISES = "it is a number from 1 that is only ever raised; each rise generates all secrets again"
DAYS = "it is a number of days in which what was deleted can still be restored"
RESERVED = "PostgreSQL reserves this name"

REFUSED: list[tuple[dict[str, str], str, str]] = [
    *(
        ({"postgresVersion": version}, f"postgresVersion is {version!r}: {RELEASE}.", "postgresVersion 17")
        for version in ("", "latest", "9.6", "17.", "17.6.1", "v17", " 17", "17-trixie")
    ),
    *(
        ({"postgresVersion": version}, f"postgresVersion is {version!r}: the known majors are {MAJORS}.", "17")
        for version in ("12", "12.20", "19", "99")
    ),
    *(
        ({"mlflowVersion": version}, f"mlflowVersion is {version!r}: {THREE}.", "mlflowVersion 3.17.2")
        for version in ("3", "3.17", "3.17.2rc1", "latest", "../3.17.2", "3.17.2\n")
    ),
    *(
        ({key: name}, f"{key} is {name!r}: {NAME}.", f"{key} mlflow")
        for key in ("postgresDatabase", "postgresUser")
        for name in ("", "Runs", "1runs", "my-runs", "runs;", "a" * 64, 'a"b', "läufe", "a:b")
    ),
    *(
        ({key: name}, f"{key} is {name!r}: {RESERVED}.", f"{key} mlflow")
        for key in ("postgresDatabase", "postgresUser")
        for name in ("postgres", "template0", "template1", "pg_mine")
    ),
    ({"postgresUser": "a" * 55}, f"postgresUser is {'a' * 55!r}: {LONG}.", "postgresUser mlflow"),
    *(
        ({"mlflowWorkers": number}, f"mlflowWorkers is {number}: {WORKERS}.", "mlflowWorkers 4")
        for number in ("1", "-1", "33")
    ),
    *(
        ({"postgresMemory": size}, f"postgresMemory is {size}: {MEMORY}, 512 at least.", "postgresMemory 2048")
        for size in ("0", "-1", "511")
    ),
    *(
        ({"mlflowMemory": size}, f"mlflowMemory is {size}: {MEMORY}, 2048 at least.", "mlflowMemory 4096")
        for size in ("4", "2047")
    ),
    *(
        ({key: "-0.5"}, f"{key} is -0.5: it is a number of processors, or 0 for all of them.", f"{key} 0")
        for key in ("mlflowCpus", "postgresCpus")
    ),
    *(
        ({"credentialsVersion": number}, f"credentialsVersion is {number}: {RISES}.", "credentialsVersion 1")
        for number in ("0", "-3")
    ),
    ({"gcAfterDays": "-1"}, f"gcAfterDays is -1: {DAYS}.", "gcAfterDays 30"),
    *(
        ({"mlflowPort": port}, f"mlflowPort is {port}: {PORT}.", "mlflowPort 5000")
        for port in ("0", "80", "1023", "65536", "-1")
    ),
    ({"postgresPort": "1023"}, f"postgresPort is 1023: {PORT}.", "postgresPort 5432"),
    ({"adminer": "true", "adminerPort": "65536"}, f"adminerPort is 65536: {PORT}.", "adminerPort 8080"),
    (
        {"mlflowPort": "5432", "postgresPort": "5432"},
        "postgresPort is 5432: mlflowPort has that port already.",
        "postgresPort 5433",
    ),
    (
        {"adminer": "true", "adminerPort": "5000"},
        "adminerPort is 5000: mlflowPort has that port already.",
        "adminerPort 5001",
    ),
    (
        {"mlflowPort": "6000", "postgresPort": "6001", "adminer": "true", "adminerPort": "6000"},
        "adminerPort is 6000: mlflowPort has that port already.",
        "adminerPort 6002",
    ),
    (
        {"mlflowPort": "65535", "postgresPort": "65535"},
        "postgresPort is 65535: mlflowPort has that port already.",
        "postgresPort 1024",
    ),
]

ACCEPTED: list[dict[str, str]] = [
    {},
    *({"postgresVersion": version} for version in ("13", "18", "17.6", "13.0", "18.12")),
    *({"mlflowPort": port} for port in ("1024", "65535")),
    *({"postgresDatabase": name} for name in ("m", "runs_2", "a" * 63, "pgruns", "postgresql")),
    {"postgresUser": "a" * 54},
    *({"mlflowWorkers": number} for number in ("0", "2", "32")),
    *({key: number} for key in ("mlflowCpus", "postgresCpus") for number in ("0", "0.5", "2")),
    {"mlflowMemory": "2048"},
    {"postgresMemory": "512"},
    *({"credentialsVersion": number} for number in ("1", "1000")),
    *({"gcAfterDays": days} for days in ("0", "1", "365")),
    {"protectData": "true"},
    {"postgresPort": "0"},
    # One that runs not at all takes no port.
    {"adminer": "false", "adminerPort": "5000"},
    {"adminer": "false", "adminerPort": "1"},
    {"postgresImage": ""},
    {"postgresImage": "registry.example/postgres:17"},
]


@pytest.fixture
def locks(tmp_path: Path) -> Path:
    folder = tmp_path / "mlflow" / "locks"
    folder.mkdir(parents=True)
    (folder / "3.17.2.txt").touch()
    return folder


@pytest.mark.parametrize(("changes", "said", "command"), REFUSED)
def test_an_invalid_setting_is_refused_with_its_remedy(changes: dict[str, str], said: str, command: str) -> None:
    message = refusal(changes)
    assert message.startswith(f"{said} Mend it with: bin/pulumi config set ")
    assert message.endswith(f" {command}")
    load(mended(changes, message))


@pytest.mark.parametrize("changes", ACCEPTED, ids=str)
def test_a_setting_at_its_limit_is_accepted(changes: dict[str, str]) -> None:
    load(changes)


def test_a_version_without_a_lock_file_is_refused_with_those_that_have_one(locks: Path) -> None:
    (locks / "3.16.0.txt").touch()
    message = refusal({"mlflowVersion": "3.15.0"}, locks.parents[1])
    assert message == (
        f"mlflowVersion is '3.15.0': no lock file for it in {locks} (there: 3.16.0, 3.17.2); "
        "`make lock MLFLOW=3.15.0` makes one. Mend it with: bin/pulumi config set mlflowVersion 3.17.2"
    )
    load(mended({"mlflowVersion": "3.15.0"}, message), locks.parents[1])


def test_without_any_lock_file_the_message_says_so(locks: Path) -> None:
    (locks / "3.17.2.txt").unlink()
    assert "(there: none); `make lock MLFLOW=3.17.2` makes one" in refusal({}, locks.parents[1])


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("mlflow_port", "mlflowPort"),
        ("postgreVersion", "postgresVersion"),
        ("keepsData", "keepData"),
        ("credentialVersion", "credentialsVersion"),
        ("IUnderstandThisIsOpen", "iUnderstandThisIsOpen"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(key: str, nearest: str) -> None:
    message = refusal({key: "1"})
    assert message == (
        f"{key} is not a setting of this project: the nearest one is {nearest}. "
        f"Mend it with: bin/pulumi config rm {key}"
    )
    load(mended({key: "1"}, message))


def test_keys_of_other_namespaces_are_ignored(engine: FakeEngine) -> None:
    def program() -> None:
        pulumi.runtime.set_config("docker:host", "unix:///var/run/docker.sock")
        load_arguments(IMAGES)

    engine.run(program, defaults())


@pytest.mark.parametrize("key", ["mlflowPort", "mlflowCpus", "credentialsVersion", "signIn", "protectData"])
def test_a_value_of_another_type_is_refused_by_its_name(key: str) -> None:
    with pytest.raises(pulumi.ConfigTypeError, match=rf"'mlflow-postgres:{key}'.*'many'"):
        load({key: "many"})


@pytest.mark.parametrize(
    ("changes", "base"),
    [
        ({"postgresVersion": "17.6"}, "postgres:17.6-trixie"),
        ({"postgresVersion": "16", "postgresImage": "mine:16"}, "mine:16"),
    ],
)
def test_the_database_image_is_the_official_one_unless_another_is_named(changes: dict[str, str], base: str) -> None:
    assert load(changes).postgres.base == base


@pytest.mark.parametrize(("version", "major"), [("17", 17), ("17.6", 17), ("13.0", 13)])
def test_the_major_version_is_before_the_point(version: str, major: int) -> None:
    assert load({"postgresVersion": version}).postgres.major == major


def test_a_version_has_only_digits() -> None:
    refusal({"postgresVersion": "\N{FULLWIDTH DIGIT ONE}\N{FULLWIDTH DIGIT SEVEN}"})


@pytest.mark.parametrize("key", ["pythonImage", "debianImage"])
def test_an_image_without_a_name_is_refused(key: str) -> None:
    refusal({key: ""})


def test_the_production_example_has_no_adminer() -> None:
    chosen = yaml.safe_load((IMAGES.parent / "Pulumi.prod.example.yaml").read_text())["config"]
    settings = load({key.removeprefix("mlflow-postgres:"): str(value) for key, value in chosen.items()})
    assert settings.sidecars == ()
    assert "adminer.port" not in {each.argument for each in settings.published_ports}

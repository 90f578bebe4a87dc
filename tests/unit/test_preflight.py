"""The look at the Docker host, its ports aside: what stops a stack before anything is touched, and in which words."""

from __future__ import annotations

import re
from typing import Any

import pytest

from components import Limits, MlflowOptions, PostgresOptions
from config.names import key_of

from .deploy import METRICS
from .fake_docker import FakeContainer, FakeDocker, FakeVolume, labels
from .preflight_case import BASES, BUILT, DATA, look, refusal
from .project import load, mended


def test_a_volume_of_another_major_is_refused_with_the_one_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    volume = FakeVolume(DATA, labels=labels("postgres-data") | {"mlflow-postgres.postgres-major": "16"})
    message = refusal(monkeypatch, FakeDocker(volumes=[volume], local=BASES))
    assert message == (
        f"postgresVersion is '17': the volume {DATA} holds a cluster of PostgreSQL 16, and data files do not move "
        "between majors (dump and restore into a new stack instead, or, if nothing in it is needed, docker volume rm "
        f"{DATA}); nothing was touched. "
        "Mend it with: bin/pulumi config set postgresVersion 16"
    )


@pytest.mark.parametrize(
    "volume",
    [
        FakeVolume(DATA, labels={"mlflow-postgres.postgres-major": "17"}),
        FakeVolume(DATA, labels={}),
        FakeVolume(DATA, labels=None),
        FakeVolume("another-postgres-data", labels={"mlflow-postgres.postgres-major": "13"}),
    ],
    ids=["same major", "no such label", "no labels", "another's"],
)
def test_a_volume_without_another_major_is_accepted(monkeypatch: pytest.MonkeyPatch, volume: FakeVolume) -> None:
    look(monkeypatch, FakeDocker(volumes=[volume], local=BASES))


def test_a_volume_that_a_foreign_container_uses_is_refused_by_the_containers_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    foreign = FakeContainer("foreign", volumes=["other", DATA])
    assert refusal(monkeypatch, FakeDocker(containers=[foreign], local=BASES)) == (
        f"the volume {DATA} is used by the container foreign, which does not belong to this stack: two servers on one "
        "volume would ruin it. Mend it with: docker stop foreign"
    )


def test_a_volume_of_our_own_server_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = FakeContainer("ours", labels=labels("postgres"), volumes=[DATA])
    look(monkeypatch, FakeDocker(containers=[ours], local=BASES))


@pytest.mark.parametrize(
    "engine",
    [FakeDocker(local=BASES), FakeDocker(local=BUILT), FakeDocker(registry=BASES)],
    ids=["base here", "built here", "base in the registry"],
)
def test_an_available_image_is_accepted(monkeypatch: pytest.MonkeyPatch, engine: FakeDocker) -> None:
    look(monkeypatch, engine)


@pytest.mark.parametrize(
    ("role", "argument"), [("postgres", "postgres.image"), ("mlflow", "python_image"), ("adminer", "debian_image")]
)
def test_an_unavailable_image_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch, role: str, argument: str) -> None:
    message = refusal(monkeypatch, FakeDocker(local=BASES), None, **named(argument))
    assert message.startswith(
        f"{key_of(argument)} is 'no/such:image': the image no/such:image cannot be found, neither on the Docker engine "
        "nor in a registry (manifest unknown): "
        f"{role} is built from it. Load it (docker pull, docker load) or choose another. "
        "Mend it with: bin/pulumi config "
    )


@pytest.mark.parametrize("argument", ["postgres.image", "python_image", "debian_image"])
def test_the_remedy_of_a_missing_image_is_one_command(monkeypatch: pytest.MonkeyPatch, argument: str) -> None:
    load(mended({}, refusal(monkeypatch, FakeDocker(local=BASES), None, **named(argument))))


def named(argument: str) -> dict[str, Any]:
    """The arguments of a platform with this one an image that does not exist."""
    image = "no/such:image"
    return {"postgres": PostgresOptions(image=image)} if argument == "postgres.image" else {argument: image}


def test_an_unreachable_registry_is_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    message = refusal(monkeypatch, FakeDocker(trouble=ConnectionError("no route to host")))
    assert re.search(r"nor in a registry \(no route to host\)", message)


@pytest.mark.parametrize(
    ("changes", "needed"),
    [
        ({"sidecars": [], "endpoint": None}, False),
        ({"sidecars": []}, True),
        ({"endpoint": None}, True),
        ({"sidecars": [], "endpoint": None, "metrics": METRICS}, True),
    ],
    ids=["all off", "gateway on", "adminer on", "metrics on"],
)
def test_the_image_of_a_service_that_is_off_is_not_checked(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], needed: bool
) -> None:
    engine = FakeDocker(local=BASES - {"debian:trixie-slim"})
    if needed:
        assert "the image debian:trixie-slim cannot be found" in refusal(monkeypatch, engine, None, **changes)
    else:
        look(monkeypatch, engine, None, **changes)


@pytest.mark.parametrize(
    ("key", "options"),
    [("mlflowCpus", MlflowOptions), ("postgresCpus", PostgresOptions)],
    ids=["mlflow", "postgres"],
)
def test_more_processors_than_the_engine_has_are_refused_with_how_many_there_are(
    monkeypatch: pytest.MonkeyPatch, key: str, options: type[MlflowOptions | PostgresOptions]
) -> None:
    engine = FakeDocker(local=BASES, processors=4)
    chosen = options(limits=Limits(memory_mb=4096, cpus=4.5))
    message = refusal(monkeypatch, engine, None, **{key.removesuffix("Cpus"): chosen})
    assert message == (
        f"{key} is 4.5: the Docker engine has 4 processors. Mend it with: bin/pulumi config set {key} 4"
    ), "the engine would refuse to start the container, after the old one has gone"
    load(mended({key: "4.5"}, message))


@pytest.mark.parametrize("cpus", [0, 0.5, 4])
def test_as_many_processors_as_the_engine_has_are_accepted(monkeypatch: pytest.MonkeyPatch, cpus: float) -> None:
    limits = Limits(memory_mb=4096, cpus=cpus)
    engine = FakeDocker(local=BASES, processors=4)
    look(monkeypatch, engine, None, mlflow=MlflowOptions(limits=limits), postgres=PostgresOptions(limits=limits))


def test_a_lower_credentials_version_is_refused_with_the_present_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    running = FakeContainer("ours", labels=labels("schema", secrets="3"))
    message = refusal(monkeypatch, FakeDocker(containers=[running], local=BASES), None, credentials_version=2)
    assert message == (
        "credentialsVersion is 2: it only rises, and was 3 already. "
        "Mend it with: bin/pulumi config set credentialsVersion 3"
    ), "what the newer secrets sealed cannot be opened with the older ones"
    load(mended({"credentialsVersion": "2"}, message))


@pytest.mark.parametrize(
    "marks",
    [
        labels("schema", secrets="3"),
        labels("schema", secrets="2"),
        labels("schema"),
        labels("gateway", secrets="0123456789abcdef"),
        labels("schema", stack="mlflow-postgres-other", secrets="9"),
        {},
    ],
    ids=["the same", "a rise", "made before there was one", "another role", "another stack", "a stranger"],
)
def test_an_equal_or_higher_credentials_version_is_accepted(
    monkeypatch: pytest.MonkeyPatch, marks: dict[str, str]
) -> None:
    running = FakeContainer("running", labels=marks)
    look(monkeypatch, FakeDocker(containers=[running], local=BASES), None, credentials_version=3)

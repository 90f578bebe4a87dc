"""The look at the Docker host: what stops a stack before anything is touched, and in which words."""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Iterator
from typing import Any

import pulumi
import pytest

from components import PlatformArgs
from preflight import check_host, host

from .deploy import IMAGES
from .fake_docker import FakeContainer, FakeDocker, FakeVolume, Ports, labels
from .project import load, mended

PREFIX = "mlflow-postgres-dev"
DATA = f"{PREFIX}-postgres-data"
ARGS = PlatformArgs(images=IMAGES, adminer_port=8080)
BASES = {image.base for image in ARGS.image_builds.values()}
BUILT = {f"{PREFIX}/{role}:{image.digest}" for role, image in ARGS.image_builds.items()}


def look(
    monkeypatch: pytest.MonkeyPatch, engine: FakeDocker, ports: dict[str, int] | None = None, **changes: Any
) -> None:
    """Look at a host for a platform with some of its arguments changed."""
    monkeypatch.setattr(host, "open_engine", lambda: engine)
    args = PlatformArgs(**{"images": IMAGES, "adminer_port": 8080, **changes})
    try:
        check_host(args, PREFIX, ports or {})
    finally:
        assert engine.closed, "an open client leaks a connection for each preview"


def refusal(
    monkeypatch: pytest.MonkeyPatch, engine: FakeDocker, ports: dict[str, int] | None = None, **changes: Any
) -> str:
    with pytest.raises(pulumi.RunError) as error:
        look(monkeypatch, engine, ports, **changes)
    return str(error.value)


def bound(port: int, address: str = "127.0.0.1") -> Ports:
    return {"5000/tcp": [{"HostIp": address, "HostPort": str(port)}], "9000/tcp": None}


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on loopback that another program listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def free(taken: int) -> int:
    """A port on loopback that nobody listens on: its server has just ended."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    assert port != taken
    return port


def test_a_host_with_free_ports_and_the_images_is_well(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    look(monkeypatch, FakeDocker(local=BASES), {"mlflowPort": free})


def test_a_port_of_another_container_is_refused_by_the_containers_name(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeDocker(containers=[FakeContainer("someone", ports=bound(5000))], local=BASES)
    assert refusal(monkeypatch, engine, {"mlflowPort": 5000}) == (
        "mlflowPort is 5000: the container someone has that port already; stop it or choose another. "
        "Mend it with: bin/pulumi config set mlflowPort 5001"
    )


@pytest.mark.parametrize(
    ("port", "others"),
    [
        (5000, {}),
        (65535, {}),
        (5000, {"postgresPort": 5001}),
    ],
    ids=["in the middle", "the last one", "before one of ours"],
)
def test_the_port_that_is_suggested_in_place_of_a_taken_one_can_be_had(
    monkeypatch: pytest.MonkeyPatch, port: int, others: dict[str, int]
) -> None:
    engine = FakeDocker(containers=[FakeContainer("someone", ports=bound(port))], local=BASES)
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.7:2376")
    message = refusal(monkeypatch, engine, {"mlflowPort": port, **others})
    load(mended({"mlflowPort": str(port)} | {key: str(value) for key, value in others.items()}, message))


@pytest.mark.parametrize(
    "ports",
    [{"5000/udp": [{"HostIp": "127.0.0.1", "HostPort": "5000"}]}, bound(5000, "192.0.2.7")],
    ids=["udp", "another address"],
)
def test_a_port_that_does_not_clash_is_well(monkeypatch: pytest.MonkeyPatch, ports: Ports) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.7:2376")
    look(monkeypatch, FakeDocker(containers=[FakeContainer("someone", ports=ports)], local=BASES), {"mlflowPort": 5000})


def test_a_port_of_another_stacks_container_is_refused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = FakeContainer("theirs", labels=labels("mlflow", stack="mlflow-postgres-other"), ports=bound(5000))
    message = refusal(monkeypatch, FakeDocker(containers=[theirs], local=BASES), {"mlflowPort": 5000})
    assert message.startswith("mlflowPort is 5000: the container theirs has that port already")


def test_a_port_of_our_own_container_is_well(monkeypatch: pytest.MonkeyPatch, taken: int) -> None:
    ours = FakeContainer("ours", labels=labels("mlflow"), ports=bound(taken))
    look(monkeypatch, FakeDocker(containers=[ours], local=BASES), {"mlflowPort": taken})


def test_a_port_of_another_program_is_refused_with_the_way_to_find_it(
    monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    message = refusal(monkeypatch, FakeDocker(local=BASES), {"postgresPort": taken})
    load(mended({"postgresPort": str(taken)}, message))
    assert message.startswith(
        f"postgresPort is {taken}: another program listens there (ss -ltnp 'sport = :{taken}' names it); "
        "stop it or choose another. Mend it with: bin/pulumi config set postgresPort "
    )


def test_a_port_is_not_tried_here_when_the_engine_is_elsewhere(monkeypatch: pytest.MonkeyPatch, taken: int) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.7:2376")
    look(monkeypatch, FakeDocker(local=BASES), {"mlflowPort": taken})


def test_an_address_that_no_interface_has_is_refused(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    message = refusal(monkeypatch, FakeDocker(local=BASES), {"mlflowPort": free}, bind_address="192.0.2.7")
    assert message == (
        "bindAddress is '192.0.2.7': no interface of this machine has that address (ip address lists them). "
        "Mend it with: bin/pulumi config set bindAddress 127.0.0.1"
    )


def test_an_address_of_a_family_that_the_machine_does_not_speak_is_refused(
    monkeypatch: pytest.MonkeyPatch, free: int
) -> None:
    def speechless(*_: object) -> None:
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr("preflight.host.socket.socket", speechless)
    message = refusal(monkeypatch, FakeDocker(local=BASES), {"mlflowPort": free}, bind_address="::1")
    assert message.startswith("bindAddress is '::1': ")


def test_a_volume_of_another_major_is_refused_with_the_one_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    volume = FakeVolume(DATA, labels=labels("postgres-data") | {"mlflow-postgres.postgres-major": "16"})
    message = refusal(monkeypatch, FakeDocker(volumes=[volume], local=BASES), postgres_major=17)
    assert message == (
        f"postgresVersion is 17: the volume {DATA} holds a cluster of PostgreSQL 16, and data files do not move "
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
def test_a_volume_that_does_not_hold_another_major_is_well(monkeypatch: pytest.MonkeyPatch, volume: FakeVolume) -> None:
    look(monkeypatch, FakeDocker(volumes=[volume], local=BASES), postgres_major=17)


def test_a_volume_that_a_foreign_container_uses_is_refused_by_the_containers_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    foreign = FakeContainer("foreign", volumes=["other", DATA])
    assert refusal(monkeypatch, FakeDocker(containers=[foreign], local=BASES)) == (
        f"the volume {DATA} is in use by the container foreign, which is not of this stack: two servers on one volume "
        "would ruin it. Mend it with: docker stop foreign"
    )


def test_a_volume_that_our_own_server_uses_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = FakeContainer("ours", labels=labels("postgres"), volumes=[DATA])
    look(monkeypatch, FakeDocker(containers=[ours], local=BASES))


@pytest.mark.parametrize(
    "engine",
    [FakeDocker(local=BASES), FakeDocker(local=BUILT), FakeDocker(registry=BASES)],
    ids=["base here", "built here", "base in the registry"],
)
def test_an_image_that_can_be_had_is_well(monkeypatch: pytest.MonkeyPatch, engine: FakeDocker) -> None:
    look(monkeypatch, engine)


@pytest.mark.parametrize(("role", "argument"), [("postgres", "postgres_base"), ("mlflow", "python_base")])
def test_an_image_that_cannot_be_had_is_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch, role: str, argument: str
) -> None:
    message = refusal(monkeypatch, FakeDocker(local=BASES), None, **{argument: "no/such:image"})
    assert message.startswith(
        "the image no/such:image cannot be found, neither on the Docker engine nor in a registry: "
        f"{role} is built from it (manifest unknown). Load it (docker pull, docker load) or choose another. "
        "Mend it with: bin/pulumi config "
    )


@pytest.mark.parametrize("argument", ["postgres_base", "python_base", "debian_base"])
def test_the_command_that_mends_a_missing_image_is_one(monkeypatch: pytest.MonkeyPatch, argument: str) -> None:
    load(mended({}, refusal(monkeypatch, FakeDocker(local=BASES), None, **{argument: "no/such:image"})))


def test_a_registry_out_of_reach_is_named_as_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    message = refusal(monkeypatch, FakeDocker(trouble=ConnectionError("no route to host")))
    assert re.search(r"is built from it \(no route to host\)", message)


def test_the_image_of_a_service_that_is_off_is_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    look(monkeypatch, FakeDocker(local=BASES - {"debian:trixie-slim"}), adminer_port=None)

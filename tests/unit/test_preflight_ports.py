"""The look at the Docker host's ports and addresses, before anything is touched."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

import pytest

from config.names import key_of

from .deploy import EVERYTHING, endpoint
from .fake_docker import FakeContainer, FakeDocker, Ports, labels
from .preflight_case import BASES, look, refusal
from .project import load, mended


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


def test_a_host_with_free_ports_and_images_is_accepted(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
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
def test_the_suggested_port_is_free(monkeypatch: pytest.MonkeyPatch, port: int, others: dict[str, int]) -> None:
    engine = FakeDocker(containers=[FakeContainer("someone", ports=bound(port))], local=BASES)
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.7:2376")
    message = refusal(monkeypatch, engine, {"mlflowPort": port, **others})
    load(mended({"mlflowPort": str(port)} | {key: str(value) for key, value in others.items()}, message))


@pytest.mark.parametrize(
    "ports",
    [{"5000/udp": [{"HostIp": "127.0.0.1", "HostPort": "5000"}]}, bound(5000, "192.0.2.7")],
    ids=["udp", "another address"],
)
def test_a_free_port_is_accepted(monkeypatch: pytest.MonkeyPatch, ports: Ports) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.7:2376")
    look(monkeypatch, FakeDocker(containers=[FakeContainer("someone", ports=ports)], local=BASES), {"mlflowPort": 5000})


def test_a_port_of_another_stacks_container_is_refused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = FakeContainer("theirs", labels=labels("mlflow", stack="mlflow-postgres-other"), ports=bound(5000))
    message = refusal(monkeypatch, FakeDocker(containers=[theirs], local=BASES), {"mlflowPort": 5000})
    assert message.startswith("mlflowPort is 5000: the container theirs has that port already")


def test_a_port_of_our_own_container_is_accepted(monkeypatch: pytest.MonkeyPatch, taken: int) -> None:
    ours = FakeContainer("ours", labels=labels("mlflow"), ports=bound(taken))
    look(monkeypatch, FakeDocker(containers=[ours], local=BASES), {"mlflowPort": taken})


MOVES = {
    "another setting's": ({"mlflowPort": 5001, "postgresPort": 5000}, {"mlflow": 5000, "postgres": 5001}),
    "of what is switched off": ({"mlflowPort": 5000}, {"mlflow": 5001, "adminer": 5000}),
    "to the gateway": ({"httpsPort": 5000, "httpPort": 5001}, {"mlflow": 5000}),
}


@pytest.mark.parametrize(("ports", "held"), MOVES.values(), ids=MOVES)
def test_a_service_whose_port_moves_to_another_one_is_stopped_first(
    monkeypatch: pytest.MonkeyPatch, ports: dict[str, int], held: dict[str, int]
) -> None:
    """Pulumi starts the one that gets it before it removes the one that has it, and the engine refuses."""
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.7:2376")
    ours = {
        role: FakeContainer(role, labels=labels(role), ports=bound(port), stop_timeout=120)
        for role, port in held.items()
    }
    look(monkeypatch, FakeDocker(containers=list(ours.values()), local=BASES), ports)
    stopped = {role for role, container in ours.items() if container.done == ["stop within 120"]}
    assert stopped == {role for role, port in held.items() if port in ports.values()}


def test_a_preview_stops_no_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.7:2376")
    monkeypatch.setattr("pulumi.runtime.is_dry_run", lambda: True)
    ours = FakeContainer("ours", labels=labels("postgres"), ports=bound(5000))
    look(monkeypatch, FakeDocker(containers=[ours], local=BASES), {"mlflowPort": 5000})
    assert ours.done == []


def test_no_service_is_stopped_if_there_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.7:2376")
    ours = FakeContainer("ours", labels=labels("postgres"), ports=bound(5000))
    engine = FakeDocker(containers=[ours, FakeContainer("someone", ports=bound(5001))], local=BASES)
    refusal(monkeypatch, engine, {"mlflowPort": 5000, "adminerPort": 5001})
    assert ours.done == []


def test_all_taken_ports_are_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.7:2376")
    others = [FakeContainer(f"other-{port}", ports=bound(port)) for port in (5000, 5001)]
    ports = {"mlflowPort": 5000, "postgresPort": 5001}
    changes = {key: str(port) for key, port in ports.items()}
    lines = refusal(monkeypatch, FakeDocker(containers=others, local=BASES), ports).splitlines()
    assert [line.partition(" is ")[0] for line in lines] == list(ports)
    for line in lines:
        changes = mended(changes, line)
    load(changes)
    assert len({*changes.values(), "5000", "5001"}) == 4


def test_a_port_of_another_program_is_refused_with_the_way_to_find_it(
    monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    message = refusal(monkeypatch, FakeDocker(local=BASES), {"postgresPort": taken})
    load(mended({"postgresPort": str(taken)}, message))
    assert message.startswith(
        f"postgresPort is {taken}: another program listens there (ss -ltnp 'sport = :{taken}' names it); "
        "stop it or choose another. Mend it with: bin/pulumi config set postgresPort "
    )


def test_with_a_remote_engine_no_port_is_tried_here(monkeypatch: pytest.MonkeyPatch, taken: int) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.7:2376")
    look(monkeypatch, FakeDocker(local=BASES), {"mlflowPort": taken})


def test_an_address_of_no_interface_is_refused(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    message = refusal(
        monkeypatch, FakeDocker(local=BASES), {"mlflowPort": free}, bind_address="192.0.2.7", allow_open_access=True
    )
    assert message == (
        "bindAddress is '192.0.2.7': no interface of this machine has that address (ip address lists them). "
        "Mend it with: bin/pulumi config set bindAddress 127.0.0.1"
    )


def test_an_address_of_an_unsupported_family_is_refused(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    def speechless(*_: object) -> None:
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr("preflight.host.socket.socket", speechless)
    message = refusal(monkeypatch, FakeDocker(local=BASES), {"mlflowPort": free}, bind_address="::1")
    assert message.startswith("bindAddress is '::1': ")


@pytest.mark.parametrize("key", ["httpsPort", "httpPort"])
def test_the_gateways_ports_are_checked(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    engine = FakeDocker(containers=[FakeContainer("someone", ports=bound(443))], local=BASES)
    message = refusal(monkeypatch, engine, {key: 443})
    assert message.startswith(f"{key} is 443: the container someone has that port already")


@pytest.mark.parametrize(
    ("key", "role"),
    [("mlflowPort", "mlflow"), *((key_of(each.argument), each.role) for each in EVERYTHING.published_ports)],
)
def test_a_service_may_keep_its_port(monkeypatch: pytest.MonkeyPatch, taken: int, key: str, role: str) -> None:
    ours = FakeContainer("ours", labels=labels(role), ports=bound(taken))
    look(monkeypatch, FakeDocker(containers=[ours], local=BASES), {key: taken})


@pytest.mark.parametrize(
    ("key", "address"),
    [
        *((key, "192.0.2.7") for key in ("httpsPort", "httpPort")),
        *((key_of(each.argument), "127.0.0.1") for each in EVERYTHING.published_ports if each.role != "gateway"),
    ],
)
def test_a_port_is_tried_on_its_own_address(monkeypatch: pytest.MonkeyPatch, key: str, address: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.9:2376")
    for held in ("192.0.2.7", "127.0.0.1"):
        engine = FakeDocker(containers=[FakeContainer("someone", ports=bound(5000, held))], local=BASES)
        public = {"bind_address": "192.0.2.7", "sign_in": True, "endpoint": endpoint()}
        ports = {key: 5000}
        if held == address:
            assert refusal(monkeypatch, engine, ports, **public).startswith(f"{key} is 5000: ")
        else:
            look(monkeypatch, engine, ports, **public)


@pytest.mark.parametrize("key", ["mlflowPort", "postgresPort", "adminerPort"])
def test_a_port_of_an_open_platform_is_tried_on_its_address(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.9:2376")
    for held in ("192.0.2.7", "127.0.0.1"):
        engine = FakeDocker(containers=[FakeContainer("someone", ports=bound(5000, held))], local=BASES)
        if held == "192.0.2.7":
            said = refusal(monkeypatch, engine, {key: 5000}, bind_address=held, allow_open_access=True)
            assert said.startswith(f"{key} is 5000: ")
        else:
            look(monkeypatch, engine, {key: 5000}, bind_address="192.0.2.7", allow_open_access=True)


def test_a_privileged_port_is_accepted_without_a_try(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine opens it, and the engine may."""

    class Forbidden(socket.socket):
        def bind(self, _: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("preflight.host.socket.socket", Forbidden)
    look(monkeypatch, FakeDocker(local=BASES), {"httpsPort": 443, "httpPort": 80})

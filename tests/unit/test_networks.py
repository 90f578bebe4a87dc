"""Who can reach whom: the networks, who is on them, and which ports the host opens."""

from __future__ import annotations

from typing import Any

import pytest

from components import Adminer, MlflowOptions, PostgresOptions, Tls

from .deploy import deploy, endpoint, everything, services
from .fake_engine import CONTAINER, INTERNAL_NETWORK, NETWORK, FakeEngine

ME = "mlflow-postgres"
FIGURES = {("mlflow", "127.0.0.1", 9001, 9464), ("exporter", "127.0.0.1", 9002, 9187)}


def test_only_the_database_network_is_internal() -> None:
    engine = everything()
    internal = {name for name, each in engine.of(NETWORK).items() if each.inputs["internal"]}
    assert internal == {f"{ME}-database"}, "closed by default, and MLflow still reaches its artifacts' stores"
    assert {each.inputs["driver"] for each in engine.of(NETWORK).values()} == {"bridge"}


def test_the_network_of_a_published_database_is_still_internal() -> None:
    engine = everything()
    masquerade = {
        name: each.inputs.get("options", {}).get("com.docker.network.bridge.enable_ip_masquerade")
        for name, each in engine.of(NETWORK).items()
    }
    closed = dict.fromkeys((f"{ME}-published", f"{ME}-metrics"), "false")
    assert masquerade == {**closed, f"{ME}-tracking": None, f"{ME}-database": None}, (
        "a port on the host needs a network with a way out; what leaves without the host's address gets no answer"
    )


@pytest.mark.parametrize(
    ("port", "networks"), [(None, {"database"}), (5432, {"database", "published"})], ids=["inside", "published"]
)
def test_the_database_is_on_a_network_with_ports_only_when_it_is_published(
    port: int | None, networks: set[str]
) -> None:
    engine = deploy(postgres=PostgresOptions(port=port))
    assert engine.container("postgres").joined == networks
    assert (f"{ME}-published" in engine.registered) is bool(port)


def test_a_service_is_on_the_networks_that_it_needs() -> None:
    joined = {role: everything().container(role).joined for role in services(everything())}
    assert joined == {
        "postgres": {"database", "published"},
        "schema": {"database"},
        "mlflow": {"tracking", "database"},
        "adminer": {"tracking", "database"},
        "exporter": {"metrics", "database"},
        "gateway": {"tracking"},
        "gc": {"database"},
    }, "the front door is open to all, so it has no way to the database; nor has the owner out"


def test_a_container_has_its_role_as_alias_on_every_network() -> None:
    for each in everything().of(CONTAINER).values():
        if not each.role.endswith("-courier"):
            assert each.inputs["hostname"] == each.role
            assert {tuple(joined["aliases"]) for joined in each.inputs["networksAdvanced"]} == {(each.role,)}


def test_by_default_only_mlflow_is_published() -> None:
    assert published(deploy()) == {("mlflow", "127.0.0.1", 5000, 5000)}


def test_every_port_is_on_loopback_by_default() -> None:
    assert published(everything(endpoint=None)) == {
        ("mlflow", "127.0.0.1", 5000, 5000),
        ("postgres", "127.0.0.1", 5432, 5432),
        ("adminer", "127.0.0.1", 8080, 8080),
        *FIGURES,
    }, "closed by default: nobody asked for these ports to be open to the network"


def test_ports_are_opened_on_the_addresses_and_with_the_numbers_that_were_chosen() -> None:
    engine = deploy(
        bind_address="192.0.2.7",
        allow_open_access=True,
        mlflow=MlflowOptions(port=6001),
        postgres=PostgresOptions(port=6002),
        sidecars=[Adminer(port=6003)],
    )
    assert published(engine) == {
        ("mlflow", "192.0.2.7", 6001, 5000),
        ("postgres", "192.0.2.7", 6002, 5432),
        ("adminer", "192.0.2.7", 6003, 8080),
    }, "whoever allows open access opens all of them"


def test_metrics_are_published_on_loopback_only() -> None:
    engine = everything(bind_address="0.0.0.0", allow_open_access=True, endpoint=None)
    assert published(engine) >= FIGURES, "whoever reads them is not asked who they are"


def test_with_a_gateway_only_the_gateway_is_published() -> None:
    engine = everything(bind_address="192.0.2.7")
    assert published(engine) == {
        ("gateway", "192.0.2.7", 443, 8443),
        ("gateway", "192.0.2.7", 80, 8080),
        ("postgres", "127.0.0.1", 5432, 5432),
        ("adminer", "127.0.0.1", 8080, 8080),
        *FIGURES,
    }, "past the gateway passwords would travel in the clear"


@pytest.mark.parametrize(
    ("door", "ports"),
    [
        ({"https_port": 8443, "http_port": 8080}, {(8443, 8443), (8080, 8080)}),
        ({"http_port": 0}, {(443, 8443)}),
        ({"tls": Tls.OFF}, {(80, 8080)}),
        ({"tls": Tls.OFF, "http_port": 8000}, {(8000, 8080)}),
    ],
    # A set's text changes from run to run, and the workers of a run must name the tests alike.
    ids=["both", "https", "http", "another http"],
)
def test_the_gateway_publishes_the_ports_that_its_tls_needs(door: dict[str, Any], ports: set[tuple[int, int]]) -> None:
    engine = deploy(endpoint=endpoint(**door))
    assert {(outside, inside) for _, _, outside, inside in published(engine)} == ports
    assert {role for role, *_ in published(engine)} == {"gateway"}


def test_the_owner_may_sign_in_only_from_the_internal_network() -> None:
    environment = everything().container("postgres").environment
    assert environment["MLFLOW_POSTGRES_INTERNAL_NETWORK"] == INTERNAL_NETWORK, "the rules are written for this range"


@pytest.mark.parametrize(
    ("port", "address", "who"),
    [
        (None, "127.0.0.1", "nobody"),
        (None, "0.0.0.0", "nobody"),
        (5432, "127.0.0.1", "samenet"),
        (5432, "0.0.0.0", "all"),
        (5432, "192.0.2.7", "all"),
    ],
)
def test_access_through_the_port_depends_on_the_bound_address(port: int | None, address: str, who: str) -> None:
    engine = deploy(postgres=PostgresOptions(port=port), bind_address=address, allow_open_access=True)
    assert engine.container("postgres").environment["MLFLOW_POSTGRES_PUBLISHED_TO"] == who


def published(engine: FakeEngine) -> set[tuple[str, str, int, int]]:
    """Every port that the host opens: role, address, port on the host, port in the container."""
    ports = [(each.role, port) for each in engine.of(CONTAINER).values() for port in each.inputs.get("ports", [])]
    assert {port["protocol"] for _, port in ports} <= {"tcp"}
    return {(role, port["ip"], int(port["external"]), int(port["internal"])) for role, port in ports}

"""The gateway before MLflow: its address, its certificate, what MLflow is told of it. Its ports: test_networks.py."""

from __future__ import annotations

from typing import Any

import pytest

from components import MlflowOptions, Tls
from components.services.caddyfile import caddyfile

from .deploy import CERTIFICATE, TLS_KEY, deploy, endpoint, everything
from .fake_engine import FakeEngine

LABEL = "mlflow-postgres.secrets"


@pytest.mark.parametrize(
    ("door", "origin"),
    [
        ({}, "https://mlflow.example.com"),
        ({"https_port": 8443}, "https://mlflow.example.com:8443"),
        ({"http_port": 0}, "https://mlflow.example.com"),
        ({"tls": Tls.INTERNAL}, "https://mlflow.example.com"),
        ({"tls": Tls.ACME, "https_port": 80}, "https://mlflow.example.com:80"),
        ({"tls": Tls.OFF}, "http://mlflow.example.com"),
        ({"tls": Tls.OFF, "http_port": 8000}, "http://mlflow.example.com:8000"),
        ({"tls": Tls.OFF, "http_port": 443}, "http://mlflow.example.com:443"),
    ],
    ids=str,
)
def test_the_address_is_the_one_that_a_browser_shows(door: dict[str, Any], origin: str) -> None:
    assert endpoint(**door).origin() == origin


@pytest.mark.parametrize(
    ("door", "hosts"),
    [
        ({}, ["mlflow.example.com"]),
        ({"https_port": 8443}, ["mlflow.example.com:8443", "mlflow.example.com"]),
    ],
    ids=["usual port", "another port"],
)
def test_mlflow_answers_to_the_gateways_host_name(door: dict[str, Any], hosts: list[str]) -> None:
    engine = deploy(endpoint=endpoint(**door))
    assert option(engine, "--allowed-hosts") == ",".join(
        [
            *hosts,
            *("mlflow", "mlflow:5000", "mlflow-postgres-dev-mlflow", "mlflow-postgres-dev-mlflow:5000"),
            "127.0.0.1:5000",
        ]
    ), "to any other name it answers 403; the gateway asks by the first, its probe and neighbours by the rest"


def test_only_pages_of_the_gateway_may_call_mlflow() -> None:
    assert option(deploy(endpoint=endpoint(https_port=8443)), "--cors-allowed-origins") == (
        "https://mlflow.example.com:8443"
    )
    assert "--cors-allowed-origins" not in deploy().container("mlflow").inputs["command"]


def test_additional_names_reach_the_gateway_and_mlflow() -> None:
    engine = deploy(endpoint=endpoint(https_port=8443), allowed_hosts=("mlflow.lan", "192.0.2.7"))
    names = ("mlflow.example.com", "mlflow.lan", "192.0.2.7")
    assert option(engine, "--cors-allowed-origins") == ",".join(f"https://{name}:8443" for name in names)
    allowed = option(engine, "--allowed-hosts").split(",")
    assert allowed[:6] == [each for name in names for each in (f"{name}:8443", name)]
    told = files(engine)["/run/secrets/Caddyfile"]
    assert all(f"https://{name}:8443 {{" in told for name in names)


def test_behind_a_users_proxy_its_pages_may_call_mlflow_under_every_name() -> None:
    engine = deploy(endpoint=endpoint(tls=Tls.OFF, http_port=8000), allowed_hosts=("mlflow.lan",))
    assert option(engine, "--cors-allowed-origins").split(",") == [
        *("http://mlflow.example.com:8000", "http://mlflow.lan:8000"),
        *("https://mlflow.example.com", "https://mlflow.lan"),
    ]


def test_the_gateway_gets_its_name_and_mlflows_address() -> None:
    door = endpoint(https_port=8443, http_port=8080, acme_email="me@example.com", tls=Tls.ACME)
    engine = deploy(endpoint=door)
    assert files(engine) == {
        "/run/secrets/Caddyfile": caddyfile(
            hostname="mlflow.example.com",
            tls=Tls.ACME,
            https_port=8443,
            http_port=8080,
            upstream="mlflow:5000",
            acme_email="me@example.com",
        )
    }
    environment = engine.container("gateway").environment
    assert environment == {"GATEWAY_HOSTNAME": "mlflow.example.com", "GATEWAY_TLS": "acme"}, "its probe asks by them"


def test_a_certificate_from_files_is_copied_with_its_key() -> None:
    found = files(deploy(endpoint=endpoint()))
    assert found["/run/secrets/certificate.pem"] == CERTIFICATE
    assert found["/run/secrets/key.pem"] == TLS_KEY


def test_an_unused_key_is_not_copied() -> None:
    assert set(files(deploy(endpoint=endpoint(tls=Tls.INTERNAL)))) == {"/run/secrets/Caddyfile"}


@pytest.mark.parametrize(
    ("changes", "anew"),
    [
        ({}, False),
        ({"certificate": CERTIFICATE + "renewed"}, True),
        ({"hostname": "other.example.com"}, True),
        ({"https_port": 8443}, True),
    ],
    ids=["nothing", "certificate", "name", "port"],
)
def test_the_gateway_is_replaced_exactly_when_its_files_change(changes: dict[str, Any], anew: bool) -> None:
    labels = [
        deploy(endpoint=endpoint(**each), **more).container("gateway").labels[LABEL]
        for each, more in (({}, {}), (changes, {"mlflow": MlflowOptions(port=5001)}))
    ]
    assert (labels[0] != labels[1]) is anew, "Caddy reads its files once, at its start"


def test_the_gateways_authority_and_certificates_are_on_a_kept_volume() -> None:
    for keep in (True, False):
        engine = deploy(endpoint=endpoint(tls=Tls.INTERNAL), keep_data=keep)
        assert engine.container("gateway").mounted["/data"] == "mlflow-postgres-dev-gateway-data"
        volume = engine.registered["mlflow-postgres-gateway-data"]
        assert volume.request.retainOnDelete is keep, "a new authority has to be trusted by every client anew"


def test_the_gateways_probe_is_its_script() -> None:
    assert everything().container("gateway").inputs["healthcheck"]["tests"][7:] == ["ready"]


def files(engine: FakeEngine) -> dict[str, str]:
    return {each["file"]: each["content"] for each in engine.container("gateway-courier").inputs["uploads"]}


def option(engine: FakeEngine, name: str) -> str:
    command = engine.container("mlflow").inputs["command"]
    value: str = command[command.index(name) + 1]
    return value


def test_without_tls_pages_of_an_https_proxy_may_call_mlflow() -> None:
    command = deploy(endpoint=endpoint(tls=Tls.OFF)).container("mlflow").inputs["command"]
    origins = command[command.index("--cors-allowed-origins") + 1].split(",")
    assert any(origin.startswith("https://") for origin in origins), "else each click on MLflow's page is refused"

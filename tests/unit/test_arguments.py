"""The component validates its own arguments, whatever program it is used in, and names them in its messages."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from components import DeploymentError, Limits, MlflowOptions, PlatformArgs, PostgresOptions, PublicEndpoint, Tls
from config.names import as_setting
from contract.errors import Argument, ArgumentError

from .deploy import IMAGES, endpoint, run_platform
from .fake_engine import FakeEngine


def refused(**changes: Any) -> list[ArgumentError]:
    with pytest.raises(DeploymentError) as error:
        PlatformArgs(images=IMAGES, **changes)
    assert isinstance(error.value, pulumi.RunError), "Pulumi would print a traceback"
    return [each for each in error.value.errors if isinstance(each, ArgumentError)]


def test_an_open_address_is_refused_for_every_caller() -> None:
    (error,) = refused(bind_address="0.0.0.0")
    assert str(error) == (
        "bind_address is '0.0.0.0': beyond loopback everybody who reaches it reads and writes the runs: it needs "
        "sign_in=True and endpoint.tls, or allow_open_access=True. Mend it with: bind_address='127.0.0.1'"
    )
    assert (error.code, error.argument, error.value, error.accepted) == (
        "address-open",
        "bind_address",
        "0.0.0.0",
        "127.0.0.1",
    )
    assert [each.name for each in error.mentions] == ["sign_in", "endpoint.tls", "allow_open_access"]


def test_an_open_address_makes_no_resource(engine: FakeEngine) -> None:
    with pytest.raises(DeploymentError, match=r"bind_address is '0\.0\.0\.0'"):
        run_platform(engine, bind_address="0.0.0.0")
    assert engine.registered == {}


def test_our_own_program_names_the_setting_and_the_command_instead() -> None:
    (error,) = refused(bind_address="0.0.0.0", sign_in=True)
    assert str(as_setting(error)) == (
        "bindAddress is '0.0.0.0': beyond loopback everybody who reaches it reads and writes the runs: it needs "
        "tls, or iUnderstandThisIsOpen true. Mend it with: bin/pulumi config set bindAddress 127.0.0.1"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"sign_in": True, "endpoint": endpoint()},
        {"allow_open_access": True},
    ],
    ids=["sign-in and TLS", "said to be open"],
)
def test_an_address_that_is_protected_or_meant_to_be_open_is_accepted(changes: dict[str, Any]) -> None:
    PlatformArgs(images=IMAGES, bind_address="0.0.0.0", **changes)


def test_all_errors_are_reported_at_once() -> None:
    errors = refused(
        mlflow=MlflowOptions(port=80, workers=1, limits=Limits(memory_mb=4)),
        postgres=PostgresOptions(user="pg_me", settings={"fsync": "off"}, version="12"),
        gc_after_days=0,
    )
    assert [str(error).partition(" is ")[0] for error in errors] == [
        "mlflow.workers",
        "mlflow.limits.memory_mb",
        "postgres.version",
        "postgres.user",
        "postgres.settings['fsync']",
        "gc_after_days",
        "mlflow.port",
    ]


def test_a_certificate_in_files_needs_both_files_and_its_text_is_not_printed() -> None:
    key = "-----BEGIN PRIVATE KEY-----"
    errors = refused(endpoint=PublicEndpoint(hostname="mlflow.example.com", tls=Tls.FILES, certificate=key))
    assert [error.argument for error in errors] == ["endpoint.certificate", "endpoint.key"]
    assert not any("PRIVATE" in str(error) for error in errors), "it may be the key, by mistake"


def test_an_accepted_value_is_shown_in_python_syntax() -> None:
    error = ArgumentError(
        "tls-unknown",
        "endpoint.tls",
        "on",
        rule="with {} it is not",
        accepted=Tls.INTERNAL,
        mentions=[Argument("sign_in", True)],
    )
    assert str(error) == "endpoint.tls is 'on': with sign_in=True it is not. Mend it with: endpoint.tls=Tls.INTERNAL"


def test_braces_of_a_rule_without_mentions_are_kept() -> None:
    assert "{x}" in str(ArgumentError("a-code", "argument", 1, rule="the name {x}"))

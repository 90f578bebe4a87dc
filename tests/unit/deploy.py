"""The platform, deployed on the fake engine."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pulumi

from components import Metrics, Platform, PlatformArgs, PublicEndpoint, Tls

from .fake_engine import PROJECT, FakeEngine

CHECKOUT = Path(__file__).parents[2]
IMAGES = CHECKOUT / "images"

METRICS = Metrics(mlflow_port=9001, postgres_port=9002)
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nchain\n"
TLS_KEY = "-----BEGIN PRIVATE KEY-----\nvalue-of-tls-key\n"


def endpoint(**changes: Any) -> PublicEndpoint:
    """An endpoint with a certificate in files and the usual ports."""
    usual = {"tls": Tls.FILES, "certificate": CERTIFICATE, "key": TLS_KEY}
    return PublicEndpoint(**{"hostname": "mlflow.example.com", **usual, **changes})


@cache
def _deployed(**changes: Any) -> FakeEngine:
    return run_platform(FakeEngine(), **changes)


def deploy(**changes: Any) -> FakeEngine:
    """A platform with some of its arguments changed. To be read only: whoever asks for the same gets the same."""
    return _deployed(**changes)


def everything(**changes: Any) -> FakeEngine:
    """A platform with all that can be switched on."""
    return _deployed(**{**switched_on(), **changes})


def switched_on() -> dict[str, Any]:
    """The arguments of a platform with all that can be switched on."""
    ports = {"postgres_port": 5432, "adminer_port": 8080, "metrics": METRICS}
    return {**ports, "endpoint": endpoint(), "sign_in": True, "gc_after_days": 30}


def run_platform(fake: FakeEngine, /, **changes: Any) -> FakeEngine:
    """Run a program that is a platform alone; the platform's outputs become the stack's."""

    def program() -> None:
        platform = Platform(PROJECT, PlatformArgs(images=IMAGES, **changes))
        for name, value in platform.outputs.items():
            pulumi.export(name, value)

    return fake.run(program)

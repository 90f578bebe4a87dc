"""The platform, deployed on the fake engine."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pulumi

from components import Adminer, Metrics, Platform, PlatformArgs, PostgresOptions, PublicEndpoint, Sidecar, Tls

from .fake_engine import CONTAINER, PROJECT, FakeEngine

CHECKOUT = Path(__file__).parents[2]
IMAGES = CHECKOUT / "images"

METRICS = Metrics(mlflow_port=9001, postgres_port=9002)
PUBLISHED = PostgresOptions(port=5432)
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nchain\n"
TLS_KEY = "-----BEGIN PRIVATE KEY-----\nvalue-of-tls-key\n"


def endpoint(**changes: Any) -> PublicEndpoint:
    """An endpoint with a certificate in files and the usual ports."""
    usual = {"tls": Tls.FILES, "certificate": CERTIFICATE, "key": TLS_KEY}
    return PublicEndpoint(**{"hostname": "mlflow.example.com", **usual, **changes})


_deployed: dict[str, FakeEngine] = {}


def deploy(**changes: Any) -> FakeEngine:
    """A platform with some of its arguments changed. To be read only: whoever asks for the same gets the same."""
    key = repr(sorted(changes.items()))
    if key not in _deployed:
        _deployed[key] = run_platform(FakeEngine(), **changes)
    return _deployed[key]


def everything(**changes: Any) -> FakeEngine:
    """A platform with all that can be switched on."""
    return deploy(**{**switched_on(), **changes})


def switched_on() -> dict[str, Any]:
    """The arguments of a platform with all that can be switched on."""
    return {
        "postgres": PUBLISHED,
        "sidecars": (Adminer(),),
        "metrics": METRICS,
        "endpoint": endpoint(),
        "sign_in": True,
        "gc_after_days": 30,
    }


EVERYTHING = PlatformArgs(images=IMAGES, **switched_on())


def services(engine: FakeEngine) -> set[str]:
    """The roles of the containers that run."""
    return {each.role for each in engine.of(CONTAINER).values() if not each.role.endswith("-courier")}


def prefix_of(sidecar: Sidecar) -> str:
    """What the names of a sidecar's options begin with in errors."""
    return sidecar.ports("")[0].argument.partition(".")[0]


def leaves(arguments: Any, path: str = "") -> dict[str, object]:
    """The arguments of a platform, those of its options included, by the names that errors have for them."""
    found: dict[str, object] = {}
    for name in (field.name for field in fields(arguments)):
        value = getattr(arguments, name)
        if name == "sidecars":
            for sidecar in value:
                found |= leaves(sidecar, f"{prefix_of(sidecar)}.")
        elif is_dataclass(value):
            found |= leaves(value, f"{path}{name}.")
        else:
            found[path + name] = value
    return found


def run_platform(fake: FakeEngine, /, **changes: Any) -> FakeEngine:
    """Run a program that is a platform alone; the platform's outputs become the stack's."""

    def program() -> None:
        platform = Platform(PROJECT, PlatformArgs(**{"images": IMAGES, **changes}))
        for name, value in platform.outputs.items():
            pulumi.export(name, value)

    return fake.run(program)

"""Checks of a Docker host that is a fake."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from components import Adminer, DeploymentError, Metrics, MlflowOptions, PlatformArgs, PostgresOptions
from config import errors_name_settings
from config.names import key_of
from preflight import host
from preflight.host import check_host

from .deploy import IMAGES, endpoint, switched_on
from .fake_docker import FakeDocker
from .project import message

PREFIX = "mlflow-postgres-dev"
DATA = f"{PREFIX}-postgres-data"
ARGS = PlatformArgs(images=IMAGES, sidecars=[Adminer()], endpoint=endpoint())
BASES = {image.base for image in ARGS.image_builds.values()}
BUILT = {f"{PREFIX}/{role}:{image.digest}" for role, image in ARGS.image_builds.items()}


def arguments(ports: dict[str, int]) -> dict[str, Any]:
    """The arguments that publish ports, which go by their settings."""
    gateway = {key: ports[setting] for key, setting in _GATEWAY.items() if setting in ports}
    figures = {key: ports[setting] for key, setting in _METRICS.items() if setting in ports}
    return {
        # Numbers that no test uses, for the ports that it does not mention.
        "endpoint": endpoint(**{"https_port": 6443, "http_port": 6080, **gateway}) if gateway else None,
        "mlflow": MlflowOptions(port=ports.get("mlflowPort", 6999)),
        "postgres": PostgresOptions(port=ports.get("postgresPort")),
        "sidecars": [replace(each, port=ports[key]) for key, each in _SIDECARS.items() if key in ports],
        "metrics": Metrics(**figures) if figures else None,
    }


_SIDECARS = {key_of(each.ports("")[0].argument): each for each in switched_on()["sidecars"]}
_GATEWAY = {"https_port": "httpsPort", "http_port": "httpPort"}
_METRICS = {"mlflow_port": "mlflowMetricsPort", "postgres_port": "postgresMetricsPort"}


def look(
    monkeypatch: pytest.MonkeyPatch, engine: FakeDocker, ports: dict[str, int] | None = None, **changes: Any
) -> None:
    """Check a host for a platform with some of its arguments changed. Without `ports` none is tried on this machine."""
    monkeypatch.setattr(host, "open_engine", lambda: engine)
    if ports is None:
        monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.7:2376")
    chosen = {} if ports is None else arguments(ports)
    if chosen.get("endpoint"):
        changes = {**changes, "endpoint": chosen["endpoint"]}
    args = replace(ARGS, **{**chosen, **changes})
    if ports is not None:
        # An MLflow without a port of its own in `ports` is not asked about.
        published = [each for each in args.published_ports if key_of(each.argument) in ports]
        monkeypatch.setattr(PlatformArgs, "published_ports", published)
    try:
        with errors_name_settings():
            check_host(args, PREFIX)
    finally:
        assert engine.closed, "an open client leaks a connection for each preview"


def refusal(
    monkeypatch: pytest.MonkeyPatch, engine: FakeDocker, ports: dict[str, int] | None = None, **changes: Any
) -> str:
    """What is refused, without the codes of the errors."""
    with pytest.raises(DeploymentError) as error:
        look(monkeypatch, engine, ports, **changes)
    return message(error.value)

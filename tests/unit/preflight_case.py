"""The look at a Docker host made by hand."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pulumi
import pytest

from components import PlatformArgs
from preflight import host
from preflight.host import check_host

from .deploy import IMAGES, front_door
from .fake_docker import FakeDocker

PREFIX = "mlflow-postgres-dev"
DATA = f"{PREFIX}-postgres-data"
ARGS = PlatformArgs(images=IMAGES, adminer_port=8080, front_door=front_door())
BASES = {image.base for image in ARGS.image_builds.values()}
BUILT = {f"{PREFIX}/{role}:{image.digest}" for role, image in ARGS.image_builds.items()}


def look(
    monkeypatch: pytest.MonkeyPatch, engine: FakeDocker, ports: dict[str, int] | None = None, **changes: Any
) -> None:
    """Look at a host for a platform with some of its arguments changed."""
    monkeypatch.setattr(host, "open_engine", lambda: engine)
    args = replace(ARGS, **changes)
    try:
        check_host(args, PREFIX, ports or {})
    finally:
        assert engine.closed, "an open client leaks a connection for each preview"


def refusal(
    monkeypatch: pytest.MonkeyPatch, engine: FakeDocker, ports: dict[str, int] | None = None, **changes: Any
) -> str:
    """What is refused, without the codes of the errors."""
    with pytest.raises(pulumi.RunError) as error:
        look(monkeypatch, engine, ports, **changes)
    return re.sub(r"^\[[a-z0-9-]+\] ", "", str(error.value), flags=re.MULTILINE)

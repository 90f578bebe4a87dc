"""What the integration tests share: the engine, and one stack that is up for all tests that only look at it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from .harness import Deployment, deployment

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("integration")


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    client = docker.from_env()
    yield client
    client.close()


@pytest.fixture(scope="session")
def stack(engine: docker.DockerClient) -> Iterator[Deployment]:
    """A stack that is up, whose secrets were made anew once. Whoever changes it, uses one of their own."""
    with deployment(engine, adminer=True, credentialsVersion=2) as made:
        made.up()
        yield made


@pytest.fixture(scope="module")
def own_stack(engine: docker.DockerClient) -> Iterator[Deployment]:
    """A stack that is not up yet, for the tests of one module to do with as they like."""
    with deployment(engine) as made:
        yield made

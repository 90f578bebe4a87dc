"""The connection to the Docker engine: the errors of a user who has none, or may not use it."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pulumi
import pytest

from components import PlatformArgs
from preflight.engine import EngineError, open_engine
from preflight.host import check_host

from .deploy import IMAGES

# Docker's client forgets to close a socket that was refused; the program ends a moment later, a test run does not.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture
def nobody_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The path of a socket without a listener."""
    path = tmp_path / "docker.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    yield path
    # What the client forgot is found while the mark above holds, and not in the middle of another test.
    gc.collect()


@pytest.fixture
def abandoned(nobody_there: Path) -> Iterator[Path]:
    """A socket whose engine has ended."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(nobody_there))
        yield nobody_there


def test_without_an_engine_the_address_and_the_command_are_named(nobody_there: Path) -> None:
    with pytest.raises(EngineError) as error:
        open_engine()
    assert str(error.value).startswith(
        f"no Docker engine answers at unix://{nobody_there} ([Errno 2] No such file or directory): it must run before "
        "the stack can. Mend it with: make engine, or systemctl start docker"
    ), "the innermost reason is the one that helps"


def test_a_stopped_engine_refuses_the_connection(abandoned: Path) -> None:
    with pytest.raises(EngineError, match=f"no Docker engine answers at unix://{abandoned} .*Connection refused"):
        open_engine()


def test_a_socket_without_permission_is_reported_as_such(abandoned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: not (path == str(abandoned) and mode == os.R_OK | os.W_OK))
    with pytest.raises(EngineError) as error:
        open_engine()
    assert str(error.value) == (
        f"the Docker engine's socket {abandoned} is closed to this user: reading and writing it is needed. "
        'Mend it with: sudo usermod -aG docker "$USER", then sign in anew'
    )


def test_the_program_stops_with_the_same_message(nobody_there: Path) -> None:
    with pytest.raises(
        pulumi.RunError, match=rf"^\[engine-not-running\] no Docker engine answers at unix://{nobody_there} "
    ):
        check_host(PlatformArgs(images=IMAGES), "mlflow-postgres-dev")

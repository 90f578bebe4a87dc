"""Fixtures of the unit tests. Nothing here needs an engine, a network or Pulumi itself."""

from __future__ import annotations

import asyncio

import pytest

from ops import stack_lock

from .fake_engine import FakeEngine


@pytest.fixture(scope="session", autouse=True)
def _event_loop() -> None:
    # One for the session: closing it for each test would leave the RPC threads' warnings behind.
    asyncio.set_event_loop(asyncio.new_event_loop())


@pytest.fixture(autouse=True)
def _own_turns(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whoever works on a stack of the same name meanwhile is not waited for."""
    monkeypatch.setattr(stack_lock, "FOLDER", tmp_path_factory.getbasetemp())


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the developer's Pulumi or Docker reaches a test."""
    for name in ("PULUMI_CONFIG", "PULUMI_BACKEND_URL", "DOCKER_HOST"):
        monkeypatch.delenv(name, raising=False)
    # An f-string over an Output would only warn, and put the warning into the value.
    monkeypatch.setenv("PULUMI_ERROR_OUTPUT_STRING", "1")


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()

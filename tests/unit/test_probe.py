"""The engine looks at a service every second, and at a ready one less often: the script that it runs, run here."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from .deploy import everything


class Look:
    """A probe as the engine runs it, but for the place of its mark; what sleeps only says for how long."""

    def __init__(self, folder: Path) -> None:
        self.mark = folder / "ready"
        kind, *self._told = everything().container("mlflow").inputs["healthcheck"]["tests"][:-1]
        assert kind == "CMD"
        self._slept = folder / "slept"
        sleep = folder / "sleep"
        sleep.write_text(f'#!/bin/sh\necho "$1" > {self._slept}\n')
        sleep.chmod(0o755)
        self._path = f"{folder}:{os.environ['PATH']}"

    def at(self, *command: str) -> tuple[int, str]:
        """Exit code of the probe with a command, and how long it rested before."""
        self._slept.write_text("")
        told = [part.replace("/dev/shm/ready", str(self.mark)) for part in self._told]
        ended = subprocess.run([*told, *command], env={"PATH": self._path}, check=False)
        return ended.returncode, self._slept.read_text().strip()


@pytest.fixture
def look(tmp_path: Path) -> Look:
    return Look(tmp_path)


def test_a_service_that_is_not_ready_is_probed_each_time(look: Look) -> None:
    assert look.at("false") == (1, "")
    assert look.at("false") == (1, "")


def test_a_ready_service_is_probed_every_five_seconds(look: Look) -> None:
    assert look.at("true") == (0, "")
    assert look.at("true") == (0, "4")
    assert look.at("true") == (0, "4")


def test_a_service_that_became_unready_is_probed_each_time(look: Look) -> None:
    look.at("true")
    assert look.at("false") == (1, "4")
    assert look.at("false") == (1, "4"), "three failures would make a short pause an end"
    assert look.at("true") == (0, "4")


def test_the_output_of_the_probe_is_unchanged(look: Look) -> None:
    assert look.at("test", "a; false $1", "=", "a; false $1") == (0, "")


def test_a_failure_to_write_the_ready_file_does_not_fail_the_probe(look: Look) -> None:
    look.mark = Path("/nowhere/ready")
    assert look.at("true") == (0, "")

"""`ops pin`: what it asks the registry, and what it writes when that does not answer."""

from __future__ import annotations

import argparse
import json
from typing import Any

import pytest
import requests
from docker.errors import APIError, DockerException
from docker.models.images import RegistryData

from contract.errors import UserError
from ops import pin, stack

from .fake_docker import FakeDocker
from .project import defaults, load

OLD = f"sha256:{'0' * 64}"


class Registry(FakeDocker):
    """An engine whose registry has the given tags."""

    def __init__(self, tags: dict[str, str]) -> None:
        super().__init__()
        self.tags = tags
        self.trouble: Exception = APIError("404 Client Error", explanation="manifest unknown")

    @property
    def images(self) -> Any:
        return self

    def get_registry_data(self, reference: str) -> RegistryData:
        if reference not in self.tags:
            raise self.trouble
        return RegistryData(reference, attrs={"Descriptor": {"digest": self.tags[reference]}})


class Pinning:
    """`ops pin` with Pulumi and the engine replaced, and the values that Pulumi gets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.configuration = defaults()
        self.written: list[tuple[str, ...]] = []
        self.engine = Registry({name: digest(name) for name in pin.base_images(defaults()).values()})
        monkeypatch.setattr(pin, "pulumi", self._pulumi)
        monkeypatch.setattr(stack, "pulumi", self._pulumi)

    def run(self) -> None:
        try:
            pin.run(argparse.Namespace(stack="prod"), self.engine.connect)
        finally:
            assert self.engine.closed

    def _pulumi(self, *arguments: str) -> str:
        if arguments == ("config", "--json", "--stack", "prod"):
            secret = {"mlflow-postgres:somethingElse": {"secret": True}}
            values = {f"mlflow-postgres:{key}": {"value": value} for key, value in self.configuration.items()}
            return json.dumps(values | secret)
        self.written.append(arguments)
        return ""


def digest(name: str) -> str:
    """A digest for one name."""
    return f"sha256:{name.encode().hex():f<64.64}"


@pytest.fixture
def pinning(monkeypatch: pytest.MonkeyPatch) -> Pinning:
    return Pinning(monkeypatch)


def test_all_base_images_are_pinned_in_one_command(pinning: Pinning, capsys: pytest.CaptureFixture[str]) -> None:
    pinning.run()
    names = {
        "postgresImage": "postgres:17-trixie",
        "pythonImage": "python:3.13-slim-trixie",
        "debianImage": "debian:trixie-slim",
    }
    ((_, command, *words, _, stack),) = pinning.written
    assert (command, words[::2], stack) == ("set-all", ["--plaintext"] * 3, "prod")
    assert words[1::2] == [f"{key}={name}@{digest(name)}" for key, name in names.items()]
    assert capsys.readouterr().out.splitlines() == [f"{key}: {name}@{digest(name)}" for key, name in names.items()]


def test_a_pinned_image_is_pinned_again_by_its_tag(pinning: Pinning, capsys: pytest.CaptureFixture[str]) -> None:
    name = "images.example:5000/team/python:3.13"
    pinning.configuration["pythonImage"] = f"{name}@{OLD}"
    pinning.engine.tags[name] = digest(name)
    pinning.run()
    assert f"pythonImage: {name}@{digest(name)}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (APIError("404 Client Error", explanation="manifest unknown"), "manifest unknown"),
        (DockerException("no credentials"), "no credentials"),
        (requests.ReadTimeout("read timed out"), "read timed out"),
    ],
    ids=["unknown", "credentials", "slow"],
)
def test_if_a_registry_does_not_answer_nothing_is_written(
    pinning: Pinning, capsys: pytest.CaptureFixture[str], trouble: Exception, reason: str
) -> None:
    del pinning.engine.tags["debian:trixie-slim"]
    pinning.engine.trouble = trouble
    with pytest.raises(UserError, match=rf"^debianImage is .*{reason}; nothing .*docker pull debian:trixie-slim"):
        pinning.run()
    assert pinning.written == []
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["images.example:5000/python", f"python@{OLD}"])
def test_an_image_without_a_tag_is_refused_and_does_not_become_latest(pinning: Pinning, name: str) -> None:
    pinning.configuration["pythonImage"] = name
    with pytest.raises(UserError, match=r"^pythonImage is .*Mend it with: bin/pulumi config set pythonImage \S+:TAG$"):
        pinning.run()
    assert pinning.written == []


@pytest.mark.parametrize("version", ["16", "17.6"])
@pytest.mark.parametrize("image", ["", "pgvector/pgvector:pg17"])
def test_the_images_are_those_that_the_program_builds_from(version: str, image: str) -> None:
    changes = {"postgresVersion": version, "postgresImage": image}
    settings = load(changes)
    assert pin.base_images(defaults() | changes) == {
        "postgresImage": settings.postgres.base,
        "pythonImage": settings.python_image,
        "debianImage": settings.debian_image,
    }


def test_a_pinned_image_is_a_setting_that_the_program_takes() -> None:
    pinned = {key: f"{name}@{digest(name)}" for key, name in pin.base_images(defaults()).items()}
    assert load(pinned).postgres.base == pinned["postgresImage"]

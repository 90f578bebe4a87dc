"""The project file, and what a stack's configuration becomes when a person runs the command that a message suggests."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from components import DeploymentError, PlatformArgs
from config import load as load_arguments

from .deploy import CHECKOUT, IMAGES
from .fake_engine import FakeEngine

CERTIFICATE_FILE, KEY_FILE = (Path(__file__).parent / "tls" / name for name in ("fullchain.pem", "privkey.pem"))

PROJECT_FILE: dict[str, Any] = yaml.safe_load((CHECKOUT / "Pulumi.yaml").read_text())


def as_text(value: object) -> str:
    """A value as Pulumi hands it to the program."""
    if isinstance(value, dict | list):
        return json.dumps(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def defaults() -> dict[str, str]:
    """The configuration of who changes nothing."""
    return {key: as_text(each["default"]) for key, each in PROJECT_FILE["config"].items()}


def load(changes: dict[str, str], images: Path = IMAGES) -> PlatformArgs:
    """The arguments of a stack that changes some of the defaults."""
    found: list[PlatformArgs] = []
    FakeEngine().run(lambda: found.append(load_arguments(images)), defaults() | changes)
    return found[0]


def refusal(changes: dict[str, str], images: Path = IMAGES) -> str:
    """What is said about settings that cannot be used, one error a line, without the codes."""
    with pytest.raises(DeploymentError) as error:
        load(changes, images)
    return message(error.value)


def message(error: DeploymentError) -> str:
    return "\n".join(str(each) for each in error.errors)


def mended(changes: dict[str, str], message: str) -> dict[str, str]:
    """The configuration after the command that a message suggests."""
    suggested = re.search(r"Mend it with: (bin/pulumi config .*)", message, re.DOTALL)
    assert suggested, f"no command of Pulumi's in: {message}"
    match shlex.split(suggested[1]):
        case ["bin/pulumi", "config", "set", key, path] if path.endswith(".pem"):
            return changes | {key: str(CERTIFICATE_FILE.with_name(Path(path).name))}
        case ["bin/pulumi", "config", "set", key, value]:
            return changes | {key: value}
        case ["bin/pulumi", "config", "set", "--path", path, value]:
            key, number = path.removesuffix("]").split("[")
            return changes | {
                key: json.dumps([*(given := json.loads(changes[key]))[: int(number)], value, *given[int(number) + 1 :]])
            }
        case ["bin/pulumi", "config", "rm", key]:
            return {other: value for other, value in changes.items() if other != key}
        case ["bin/pulumi", "config", "rm", "--path", path]:
            parts = re.fullmatch(r'(\w+)(?:\.(\w+)|\["(.*)"\])', path, re.DOTALL)
            assert parts, f"not a path of Pulumi's: {path}"
            kept = {name: value for name, value in json.loads(changes[parts[1]]).items() if name not in parts.groups()}
            return changes | {parts[1]: json.dumps(kept)}
    raise AssertionError(f"not a command of Pulumi's: {suggested[1]}")

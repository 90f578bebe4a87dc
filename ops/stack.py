"""A stack's names, outputs, settings and state, from Pulumi."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

from contract.errors import UserError
from contract.names import object_prefix

PROJECT = Path(__file__).resolve().parent.parent


def project_name() -> str:
    """The project's name in `Pulumi.yaml`."""
    name: str = yaml.safe_load((PROJECT / "Pulumi.yaml").read_text())["name"]
    return name


def prefix(stack: str) -> str:
    """The prefix of the stack's object names on the engine."""
    return object_prefix(project_name(), short_name(stack))


def short_name(stack: str) -> str:
    """The last part of a stack's full name, organization/project/stack."""
    return stack.rpartition("/")[2]


def not_up(stack: str) -> UserError:
    """The error of a command that needs a running stack."""
    return UserError("stack-not-up", f"the stack {stack} is not up", remedy=f"make up STACK={short_name(stack)}")


def not_running(role: str, stack: str) -> UserError:
    """The error of a command that needs a running service."""
    return UserError(
        "service-not-running", f"{role} of the stack {stack} does not run", remedy=f"make up STACK={short_name(stack)}"
    )


def pulumi(*arguments: str, text: str | None = None) -> str:
    """The output of a Pulumi command. Raises `UserError` with Pulumi's message."""
    done = subprocess.run(
        [PROJECT / "bin" / "pulumi", "--non-interactive", *arguments],
        cwd=PROJECT,
        input=text,
        capture_output=True,
        text=True,
        env=os.environ | {"PULUMI_SKIP_UPDATE_CHECK": "true"},
        check=False,
    )
    if done.returncode:
        raise UserError(
            "pulumi-failed", f"`pulumi {arguments[0]}` failed: {done.stderr.strip() or done.stdout.strip()}"
        )
    return done.stdout


def outputs(stack: str) -> dict[str, Any]:
    """The stack's outputs without secrets. Raises `UserError` when it is not up."""
    values: dict[str, Any] = json.loads(pulumi("stack", "output", "--json", "--stack", stack))
    if not values:
        raise not_up(stack)
    return values


def configuration(stack: str) -> dict[str, str]:
    """The stack's settings, with the project's defaults, without secrets."""
    found = json.loads(pulumi("config", "--json", "--stack", stack))
    own = f"{project_name()}:"
    return {key.removeprefix(own): each.get("value", "") for key, each in found.items()}


def export(stack: str) -> dict[str, Any]:
    """The stack's state, with encrypted secrets."""
    state: dict[str, Any] = json.loads(pulumi("stack", "export", "--stack", stack))
    return state

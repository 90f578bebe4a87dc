"""The stack of the example for a team, as it stands in the project."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import docker
import yaml

from .harness import ROOT, Deployment, deployment

EXAMPLE = yaml.safe_load((ROOT / "Pulumi.prod.example.yaml").read_text())
HOSTNAME = EXAMPLE["config"]["mlflow-postgres:hostname"]
HTTPS, HTTP = (int(EXAMPLE["config"][f"mlflow-postgres:{key}Port"]) for key in ("https", "http"))


@contextmanager
def example_for_a_team(engine: docker.DockerClient) -> Iterator[Deployment]:
    """A stack with the settings of the example, and no others."""
    with deployment(engine) as stack:
        path = stack.project / f"Pulumi.{stack.name}.yaml"
        path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **EXAMPLE}))
        stack.up()
        yield stack

"""A checkout of anybody's: whatever modes and line endings its files have, the images are the same."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest
from docker import DockerClient

from .harness import Deployment, deployment

PACKAGES = "/opt/mlflow/venv/lib/python3.13/site-packages"
OURS = {
    "postgres": ["/usr/local/bin", "/usr/local/share/mlflow-postgres"],
    "mlflow": [f"{PACKAGES}/mlflow_postgres", f"{PACKAGES}/contract", "/opt/postgresql"],
    "adminer": ["/usr/local/bin", "/var/www/adminer"],
    "gateway": ["/usr/local/bin"],
    "exporter": ["/usr/local/bin"],
}
"""Where the images keep what comes from the checkout."""
LOOK = r"""
find -L "$@" ! -perm -a=r -print -o \( -type d -o -path '*/bin/*' \) ! -perm -a=x -print
find "$@" -type f ! -name '*.pyc' -exec grep -Il "$(printf '\r$')" {} +
true
"""
"""Names what not everybody may read or run, and what has the line endings of Windows."""


@pytest.fixture(scope="module")
def somebody_elses(engine: DockerClient) -> Iterator[Deployment]:
    """The images of a checkout with a strict umask, on a disk that keeps no executable bits, in Windows' style."""
    settings = {"hostname": "mlflow.test", "tls": "internal", "adminer": True, "metrics": True}
    with deployment(engine, **settings) as made:
        folders = [made.project / name for name in ("contract", "images", "server")]
        for path in [each for folder in folders for each in (folder, *folder.rglob("*"))]:
            if path.is_file():
                path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
            path.chmod(0o2700 if path.is_dir() else 0o600)
        # The images and nothing else, but for the components that they are parts of.
        kinds = [
            "RemoteImage",
            *(f"index:{name}" for name in ("Platform", "Postgres", "Adminer", "Gateway", "Exporter")),
        ]
        targets = [part for kind in kinds for part in ("--target", f"**:{kind}::*")]
        made.pulumi("up", "--yes", "--skip-preview", "--stack", made.name, *targets)
        yield made


@pytest.mark.parametrize("role", sorted(OURS))
def test_an_image_has_modes_and_line_endings_of_its_own(somebody_elses: Deployment, role: str) -> None:
    (tag,) = (tag for tag in somebody_elses.objects()["images"] if tag.startswith(f"{somebody_elses.prefix}/{role}:"))
    assert look_into(tag, role) == ""


def test_it_has_with_the_engine_s_older_builder_too(somebody_elses: Deployment) -> None:
    tag = f"{somebody_elses.prefix}/older:1"
    folder = somebody_elses.project / "images" / "postgres"
    command = ["docker", "build", "--quiet", "--tag", tag, str(folder)]
    subprocess.run(command, env={**os.environ, "DOCKER_BUILDKIT": "0"}, check=True, capture_output=True)
    # Its name is one of the deployment's, which removes it.
    assert look_into(tag, "postgres") == ""


def look_into(tag: str, role: str) -> str:
    """What somebody who is not root finds wrong in an image."""
    command = ["docker", "run", "--rm", "--network", "none", "--user", "65534", "--entrypoint", "sh", tag]
    done = subprocess.run([*command, "-c", LOOK, "sh", *OURS[role]], capture_output=True, text=True, check=True)
    return done.stdout + done.stderr

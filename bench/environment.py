"""The environment of one run: a name, a folder, and its containers, networks and volumes."""

from __future__ import annotations

import random
import shutil
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker
import yaml
from docker.errors import APIError, NotFound
from docker.models.containers import Container

from contract.labels import PREFIX, STACK

ROOT = Path(__file__).resolve().parents[1]


stop_requested = threading.Event()
"""Set by Ctrl-C. Threads check it, because only the main thread gets the signal."""


STACKS = ("", "-in", "-commit")
"""What comes after the run's name in those of its stacks."""


class BenchError(Exception):
    """The benchmark cannot continue. The message says why."""


def default_setting(key: str) -> str:
    """A setting's default in Pulumi.yaml."""
    document = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
    return str(document["config"][key]["default"])


def free_ports(count: int) -> list[int]:
    """Free ports on loopback, below the range that the kernel uses for outgoing connections."""
    found: list[int] = []
    for port in random.sample(range(20_000, 30_000), 1_000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                found.append(port)
        if len(found) == count:
            return found
    raise BenchError(f"fewer than {count} of a thousand ports are free")


def wait_until(condition: Callable[[], bool], what: str, seconds: float) -> None:
    """Wait until a condition holds. Raises BenchError after `seconds`; `what` names the condition."""
    end = time.monotonic() + seconds
    while not condition():
        if stop_requested.is_set():
            raise BenchError(f"stopped while waiting for {what}")
        if time.monotonic() > end:
            raise BenchError(f"{what} was not ready after {seconds:.0f} s")
        time.sleep(0.05)


def progress(text: str) -> None:
    """Print progress to standard error. Standard output is for the report."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


class Environment:
    """The containers, networks and volumes of one run, which share a label, and its folder."""

    def __init__(self, engine: docker.DockerClient, folder: Path) -> None:
        self.engine = engine
        self.name = f"bench-{uuid.uuid4().hex[:8]}"
        self.prefix = f"mlflow-postgres-{self.name}"
        # Not in /tmp, which may be in memory: SQLite's file must be on a disk, like PostgreSQL's.
        self.folder = folder.resolve() / f"environment-{self.name}"
        self.folder.mkdir(parents=True)
        self._labels = {f"{PREFIX}.bench": self.prefix}
        self.network = engine.networks.create(self.prefix, driver="bridge", labels=self._labels)

    def run(
        self,
        role: str,
        image: str,
        command: Sequence[str] = (),
        *,
        environment: Mapping[str, str] | None = None,
        port: tuple[int, int] | None = None,
        folder: Path | None = None,
        user: str | None = None,
        volume: str | None = None,
    ) -> Container:
        """Start a container whose host name is its role. `port` is the container's port and the port on loopback."""
        mounts: dict[str, dict[str, str]] = {}
        if folder:
            mounts[str(folder)] = {"bind": "/data", "mode": "rw"}
        if volume:
            name = f"{self.prefix}-{role}"
            self.engine.volumes.create(name, labels=self._labels)
            mounts[name] = {"bind": volume, "mode": "rw"}
        more: dict[str, Any] = {"user": user} if user else {}
        container = self.engine.containers.create(
            image,
            list(command) or None,
            name=f"{self.prefix}-{role}",
            hostname=role,
            environment=dict(environment or {}),
            labels=self._labels,
            ports={f"{port[0]}/tcp": ("127.0.0.1", port[1])} if port else None,
            volumes=mounts,
            # Without init, SIGTERM would go to a shell as process 1, which ignores it.
            init=True,
            **more,
        )
        self.network.connect(container, aliases=[role])
        container.start()
        return container

    def drop(self, container: Container) -> None:
        """Remove a container with its data."""
        container.remove(force=True, v=True)
        with suppress(NotFound):
            self.engine.volumes.get(str(container.name)).remove(force=True)

    def remove(self) -> None:
        """Remove everything that the run has created, including stacks of the product."""
        wait_until(self._remove_all, f"the removal of {self.prefix}", 120)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _remove_all(self) -> bool:
        """Remove everything, and return whether nothing is left. The engine may still be creating a container."""
        left = 0
        for label in (f"{PREFIX}.bench={self.prefix}", *(f"{STACK}={self.prefix}{part}" for part in STACKS)):
            mine: Any = {"label": label}
            containers = self.engine.containers.list(all=True, filters=mine, ignore_removed=True)
            networks = self.engine.networks.list(filters=mine)
            left += len(containers) + len(networks)
            with suppress(APIError):
                for container in containers:
                    container.remove(force=True, v=True)
                for network in networks:
                    network.remove()
            volumes = self.engine.volumes.list(filters=mine)
            left += len(volumes)
            with suppress(APIError):
                for volume in volumes:
                    volume.remove(force=True)
        # Not `images.list`: it inspects every image, and fails if another process removes one meanwhile.
        every = (tag for image in self.engine.api.images() for tag in image["RepoTags"] or ())
        tags = [tag for tag in every if tag.startswith(self.prefix)]
        with suppress(APIError):
            for tag in tags:
                self.engine.images.remove(tag)
        return not left and not tags


def build_images(engine: docker.DockerClient) -> dict[str, str]:
    """Build the images of plain MLflow and of FastTrackML, and return their names. They stay for the next run."""
    version = default_setting("mlflowVersion")
    names = {}
    for folder, stage in (("plain", "recipe"), ("plain", "plain"), ("fasttrackml", "")):
        name = stage or folder
        names[name] = f"mlflow-postgres-bench/{name}:{version}"
        engine.images.build(
            path=str(ROOT / "bench" / "images" / folder),
            tag=names[name],
            target=stage,
            buildargs={"BASE_IMAGE": default_setting("pythonImage"), "MLFLOW_VERSION": version},
            # The build downloads packages, and a container's own network may have no name server.
            network_mode="host",
            rm=True,
            forcerm=True,
        )
    return names


def copy_project(target: Path) -> None:
    """Copy the project's files, uncommitted changes included, and link this checkout's virtualenv."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True).stdout
    for name in files.decode().rstrip("\0").split("\0"):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    _link_virtualenv(target)


def full_hash(commit: str) -> str:
    """The hash of a commit of this project, which may be named in any way of git's. Raises BenchError."""
    call = ["git", "rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}"]
    found = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=False)
    if found.returncode:
        raise BenchError(f"--commit {commit}: git knows no such commit. Mend it with: --commit HEAD~1")
    return found.stdout.strip()


def copy_commit(commit: str, target: Path) -> None:
    """Write the project's files as they were at a commit, and link this checkout's virtualenv."""
    target.mkdir()
    with subprocess.Popen(["git", "archive", commit], cwd=ROOT, stdout=subprocess.PIPE) as archive:
        subprocess.run(["tar", "-x", "-C", target], stdin=archive.stdout, check=True)
    _link_virtualenv(target)


def _link_virtualenv(target: Path) -> None:
    (target / ".venv").symlink_to(ROOT / ".venv")

"""What one run of the benchmark has of its own: a name, a folder, and all that it makes on the engine."""

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


stopped = threading.Event()
"""Set by Ctrl-C: who waits in a thread of its own does not hear of it in another way."""


class BenchError(Exception):
    """The benchmark cannot go on; the message says why."""


def declared(key: str) -> str:
    """The default that Pulumi.yaml declares for a setting."""
    document = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
    return str(document["config"][key]["default"])


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on, from below those that the system gives to outgoing connections."""
    found: list[int] = []
    for port in random.sample(range(20_000, 30_000), 1_000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                found.append(port)
        if len(found) == count:
            return found
    raise BenchError(f"fewer than {count} of a thousand ports are free")


def wait_until(condition: Callable[[], bool], what: str, seconds: float) -> None:
    """Wait until a condition holds. Raises BenchError, naming it, when that takes too long."""
    end = time.monotonic() + seconds
    while not condition():
        if stopped.is_set():
            raise BenchError(f"stopped while waiting for {what}")
        if time.monotonic() > end:
            raise BenchError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(0.05)


def say(text: str) -> None:
    """Progress, on standard error: what is printed on standard output is the report."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


class Room:
    """The containers, networks and volumes of one run, known by a label, and its folder on the disk."""

    def __init__(self, engine: docker.DockerClient, folder: Path) -> None:
        self.engine = engine
        self.name = f"bench-{uuid.uuid4().hex[:8]}"
        self.prefix = f"mlflow-postgres-{self.name}"
        # Not in /tmp, which may be memory: SQLite's file must lie on a disk, as PostgreSQL's do.
        self.folder = folder.resolve() / f"room-{self.name}"
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
        """Start a container that others reach by its role. `port` is the container's and the one on loopback."""
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
            # SIGTERM reaches the server, not a shell that is process 1 and has no handler for it.
            init=True,
            **more,
        )
        self.network.connect(container, aliases=[role])
        container.start()
        return container

    def drop(self, container: Container) -> None:
        """End and remove a container with its data."""
        container.remove(force=True, v=True)
        with suppress(NotFound):
            self.engine.volumes.get(str(container.name)).remove(force=True)

    def remove(self) -> None:
        """Take away everything that the run has made, stacks of the product included."""
        wait_until(self._remove_all, f"the end of everything of {self.prefix}", 120)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _remove_all(self) -> bool:
        """Whether it is all gone; while the engine still makes what an interrupted run has asked for, it is not."""
        left = 0
        for label in (f"{PREFIX}.bench={self.prefix}", *(f"{STACK}={self.prefix}{part}" for part in ("", "-in"))):
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
        # Not `images.list`: it inspects every image, and fails when somebody else removes one in the meantime.
        every = (tag for image in self.engine.api.images() for tag in image["RepoTags"] or ())
        tags = [tag for tag in every if tag.startswith(self.prefix)]
        with suppress(APIError):
            for tag in tags:
                self.engine.images.remove(tag)
        return not left and not tags


def build_plain(engine: docker.DockerClient) -> dict[str, str]:
    """Build the images of plain MLflow; by stage, their names. They stay, and the next run finds them built."""
    version = declared("mlflowVersion")
    names = {}
    for stage in ("recipe", "plain"):
        names[stage] = f"mlflow-postgres-bench/{stage}:{version}"
        engine.images.build(
            path=str(ROOT / "bench" / "images" / "plain"),
            tag=names[stage],
            target=stage,
            buildargs={"BASE_IMAGE": declared("pythonImage"), "MLFLOW_VERSION": version},
            # Packages are fetched while building, and a container's own network may have no name server.
            network_mode="host",
            rm=True,
            forcerm=True,
        )
    return names


def clone(target: Path) -> Path:
    """A copy of the project as it stands, with this checkout's virtualenv."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True).stdout
    for name in files.decode().rstrip("\0").split("\0"):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    (target / ".venv").symlink_to(ROOT / ".venv")
    return target

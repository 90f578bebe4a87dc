"""A fake Docker engine: the client's own models over a few dictionaries, without a network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import docker
from docker.errors import APIError, ImageNotFound, NotFound
from docker.models.containers import Container, ExecResult
from docker.models.networks import Network
from docker.models.volumes import Volume

from ops.docker_runtime import DockerRuntime

NOW = "2026-01-01T12:00:00.123456789Z"
"""The time by the engine's clock."""

Ports = dict[str, list[dict[str, str]] | None]


def labels(role: str, stack: str = "mlflow-postgres-dev", deployment: str = "this-life", **more: str) -> dict[str, str]:
    """The labels of an object of a stack."""
    mark = {"stack": stack, "role": role, "deployment": deployment, **more}
    return {f"mlflow-postgres.{key}": value for key, value in mark.items()}


class FakeContainer(Container):
    """A container that records what is done to it."""

    def __init__(
        self,
        name: str,
        *,
        labels: Mapping[str, str] | None = None,
        ports: Ports | None = None,
        volumes: Iterable[str] = (),
        stop_timeout: int | None = None,
        health: str | None = "healthy",
        status: str = "running",
        exit_code: int = 0,
        restarts: int = 0,
        said: str = "",
        networks: Iterable[str] = (),
        gone: bool = False,
        prints: Mapping[str, str] | None = None,
        ends: Mapping[str, int] | None = None,
        made: str = "2026-01-01T00:00:00Z",
    ) -> None:
        super().__init__(
            attrs={
                "Id": f"{name}-id",
                "Name": f"/{name}",
                "Created": made,
                "Image": f"sha256:{name}",
                "Config": {
                    "Labels": dict(labels or {}),
                    "StopTimeout": stop_timeout,
                    "Image": "a/tag:old",
                    "Cmd": ["own"],
                },
                "HostConfig": {"NetworkMode": "bridge", "ReadonlyRootfs": True},
                "State": {
                    "Status": status,
                    "ExitCode": exit_code,
                    **({"Health": {"Status": health}} if health else {}),
                },
                "RestartCount": restarts,
                "NetworkSettings": {"Ports": ports or {}, "Networks": {each: {} for each in networks}},
                "Mounts": [{"Type": "volume", "Name": volume} for volume in volumes] + [{"Type": "bind"}],
            }
        )
        self.gone = gone
        self.said = said
        self.prints = dict(prints or {})
        self.ends = dict(ends or {})
        self.done: list[str] = []

    def exec_run(self, cmd: str | list[str], *_: object, demux: bool = False, **__: object) -> Any:
        """The output depends on a word in the command."""
        assert demux, "warnings among the answers would be taken for answers"
        said = [text for word, text in self.prints.items() if word in cmd[-1]]
        output: Any = ("".join(said).encode(), None)
        return ExecResult(exit_code=self.ends.get(cmd[0], 0 if said else 2), output=output)

    def start(self, **_: object) -> None:
        self.done.append("start")

    def wait(self, **_: object) -> Any:
        return {"StatusCode": self.attrs["State"]["ExitCode"]}

    def logs(self, *, stream: bool = False, tail: str | int = "all", **_: object) -> Any:
        start = 0 if isinstance(tail, str) else -tail
        lines = self.said.encode().splitlines(keepends=True)[start:]
        return iter(lines) if stream else b"".join(lines)

    def stop(self, *, timeout: float | None = None) -> None:
        if self.gone:
            raise NotFound(f"No such container: {self.name}")
        self.done.append(f"stop within {timeout}")

    def remove(self, *, v: bool = False, link: bool = False, force: bool = False) -> None:
        assert v, "those of its volumes that have no name would stay for ever; those that have one stay anyway"
        assert not link, "a link is not a container"
        self.done.append(f"remove by force: {force}")


class FakeNetwork(Network):
    """A network that records what is done to it."""

    def __init__(self, name: str, *, labels: Mapping[str, str] | None = None, joined: Iterable[Container] = ()) -> None:
        super().__init__(
            attrs={"Id": f"{name}-id", "Name": name, "Labels": dict(labels or {}), "Created": "2026-01-01T00:00:00Z"}
        )
        self.joined = list(joined)
        self.done: list[str] = []

    @property
    def containers(self) -> list[Container]:
        return self.joined

    def reload(self) -> None:
        """Nothing to read again."""

    def disconnect(self, container: str | Container, force: bool = False) -> None:
        assert isinstance(container, Container)
        self.done.append(f"disconnect {container.name} by force: {force}")

    def remove(self) -> None:
        self.done.append("remove")


class FakeVolume(Volume):
    """A volume that must not be removed."""

    def __init__(self, name: str, *, labels: Mapping[str, str] | None = None) -> None:
        super().__init__(attrs={"Name": name, "Labels": None if labels is None else dict(labels)})

    def remove(self, force: bool = False) -> None:
        raise AssertionError(f"volumes are never touched, but {self.name} was removed (by force: {force})")


class _Listed:
    """Containers, networks or volumes, listed by a label as the engine does."""

    def __init__(self, things: Iterable[Any]) -> None:
        self.things = list(things)

    def list(self, filters: Mapping[str, str] | None = None, **_: bool) -> list[Any]:
        key, _sign, value = (filters or {"label": ""})["label"].partition("=")
        return [each for each in self.things if not key or _labels(each).get(key) == value]

    def get(self, name: str) -> Any:
        for each in self.things:
            if name in (each.name, each.attrs.get("Id")):
                return each
        raise NotFound(f"no such thing: {name}")


class _Images:
    def __init__(self, local: Iterable[str], registry: Iterable[str], trouble: Exception | None) -> None:
        self.local = set(local)
        self.registry = set(registry)
        self.trouble = trouble

    def get(self, reference: str) -> str:
        if reference not in self.local:
            raise ImageNotFound(f"No such image: {reference}")
        return reference

    def get_registry_data(self, reference: str) -> str:
        if self.trouble:
            raise self.trouble
        if reference not in self.registry:
            raise APIError("404 Client Error", explanation="manifest unknown")
        return reference


class _Api:
    """The client's low-level API, which creates containers from a raw configuration."""

    def __init__(self, containers: _Listed, answers: Mapping[str, tuple[int, str]]) -> None:
        self.containers = containers
        self.answers = answers
        self.made: list[FakeContainer] = []
        self.configurations: list[dict[str, Any]] = []

    def create_container_from_config(self, configuration: dict[str, Any], name: str) -> dict[str, str]:
        exit_code, said = self.answers[configuration["Cmd"][0]]
        container = FakeContainer(name, exit_code=exit_code, said=said)
        self.configurations.append(configuration)
        self.made.append(container)
        self.containers.things.append(container)
        return {"Id": f"{name}-id"}


class FakeDocker(docker.DockerClient):
    """An engine with the given objects. A task on it ends with the given exit code and output."""

    def __init__(
        self,
        *,
        containers: Iterable[Container] = (),
        networks: Iterable[Network] = (),
        volumes: Iterable[Volume] = (),
        local: Iterable[str] = (),
        registry: Iterable[str] = (),
        trouble: Exception | None = None,
        processors: int = 2,
        answers: Mapping[str, tuple[int, str]] | None = None,
    ) -> None:
        self._containers = _Listed(containers)
        self._networks = _Listed(networks)
        self._volumes = _Listed(volumes)
        self._images = _Images(local, registry, trouble)
        self.processors = processors
        self.api: Any = _Api(self._containers, answers or {})
        self.closed = False

    def connect(self) -> DockerRuntime:
        """The commands' runtime on this engine."""
        return DockerRuntime(self)

    def version(self, api_version: bool = True) -> dict[str, Any]:
        assert api_version
        return {"Version": "29.1.0"}

    def info(self) -> dict[str, Any]:
        return {"NCPU": self.processors, "ID": "ABCD:EFGH", "SystemTime": NOW}

    @property
    def containers(self) -> Any:
        return self._containers

    @property
    def networks(self) -> Any:
        return self._networks

    @property
    def volumes(self) -> Any:
        return self._volumes

    @property
    def images(self) -> Any:
        return self._images

    def close(self) -> None:
        self.closed = True


def _labels(thing: Any) -> dict[str, str]:
    return thing.labels if isinstance(thing, Container) else thing.attrs.get("Labels") or {}

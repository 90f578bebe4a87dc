"""Implements `Runtime` for a Docker engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, Literal

import docker
from docker.errors import APIError, DockerException, NotFound
from docker.models.containers import Container as DockerContainer
from docker.models.networks import Network as DockerNetwork
from requests import RequestException
from urllib3.exceptions import HTTPError

from contract import labels
from preflight.engine import EngineError, engine_host, open_engine

from .runtime import Container, GoneError, Network, RegistryError, Result, TaskLike

_CONFLICT = 409


def connect() -> DockerRuntime:
    """Connect to the engine of DOCKER_HOST, or of this machine. Raises `EngineError` if it does not answer."""
    return DockerRuntime(open_engine())


class DockerRuntime:
    """A Docker engine, through its Python client."""

    def __init__(self, client: docker.DockerClient) -> None:
        self._client = client

    def identity(self) -> str:
        with _engine_errors():
            return str(self._client.info().get("ID") or engine_host())

    def version(self) -> str:
        with _engine_errors():
            return f"Docker {self._client.version()['Version']}"

    def now(self) -> datetime:
        with _engine_errors():
            return datetime.fromisoformat(self._client.info()["SystemTime"])

    def containers(self, prefix: str) -> list[Container]:
        with _engine_errors():
            found = self._client.containers.list(all=True, filters=_of_stack(prefix), ignore_removed=True)
            return [_container(each) for each in found]

    def networks(self, prefix: str) -> list[Network]:
        with _engine_errors():
            return [_network(each) for each in self._client.networks.list(filters=_of_stack(prefix))]

    def volumes(self, prefix: str) -> list[str]:
        with _engine_errors():
            return [str(each.name) for each in self._client.volumes.list(filters=_of_stack(prefix))]

    def members(self, network: Network) -> Mapping[str, str]:
        with _engine_errors():
            found = self._client.networks.get(network.id)
            found.reload()
            return {str(each.id): str(each.name) for each in found.containers}

    def execute(self, container: Container, command: Sequence[str], environment: Mapping[str, str]) -> Result:
        with _engine_errors():
            ended = self._find(container).exec_run(list(command), environment=dict(environment), demux=True)
        parts: Any = ended.output
        output, errors = ((part or b"").decode(errors="replace") for part in parts)
        return Result(exit_code=int(ended.exit_code or 0), output=output, errors=errors)

    def logs(
        self,
        container: Container,
        *,
        tail: int | None = None,
        follow: bool = False,
        output: bool = True,
        errors: bool = True,
    ) -> Iterator[bytes]:
        lines: Literal["all"] | int = "all" if tail is None else tail
        with _engine_errors():
            found = self._find(container)
            if follow:
                yield from found.logs(stream=True, follow=True, tail=lines, stdout=output, stderr=errors)
            else:
                # Not as a stream: the client reports a stream that is not closed on standard error.
                yield found.logs(tail=lines, stdout=output, stderr=errors)

    def create(self, task: TaskLike, like: Container) -> Container:
        with _engine_errors():
            attributes = self._find(like).attrs
            (network,) = attributes["NetworkSettings"]["Networks"]
            host = {**attributes["HostConfig"], "NetworkMode": network}
            configuration = {
                **attributes["Config"],
                "Image": attributes["Image"],
                "Cmd": list(task.command),
                "Labels": dict(task.labels),
                "HostConfig": host,
            }
            if task.user:
                configuration["User"] = task.user
            if task.capabilities:
                host["CapAdd"] = list(task.capabilities)
            if task.volumes or task.host_paths:
                host["Mounts"] = [*(host.get("Mounts") or []), *_mounts(task)]
            created = self._client.api.create_container_from_config(configuration, task.name)
            return _container(self._client.containers.get(created["Id"]))

    def start(self, container: Container) -> None:
        with _engine_errors():
            self._find(container).start()

    def stop(self, container: Container, seconds: int) -> None:
        with _engine_errors():
            self._find(container).stop(timeout=seconds)

    def wait(self, container: Container) -> int:
        with _engine_errors():
            return int(self._find(container).wait()["StatusCode"])

    def remove(self, container: Container) -> None:
        with _engine_errors(), suppress(NotFound):
            found = self._find(container)
            if found.health != "starting":
                found.stop(timeout=int((found.attrs.get("Config") or {}).get("StopTimeout") or 10))
            found.remove(force=True, v=True)

    def discard(self, container: Container) -> None:
        with _engine_errors():
            self._find(container).remove(force=True, v=True)

    def remove_network(self, network: Network) -> None:
        with _engine_errors(), suppress(NotFound):
            found = self._client.networks.get(network.id)
            found.reload()
            for each in found.containers:
                found.disconnect(each, force=True)
            found.remove()

    def digest(self, image: str) -> str:
        try:
            return str(self._client.images.get_registry_data(image).id)
        except (DockerException, RequestException, HTTPError) as error:
            raise RegistryError(_reason(error)) from error

    def close(self) -> None:
        self._client.close()

    def _find(self, container: Container) -> DockerContainer:
        return self._client.containers.get(container.id)


@contextmanager
def _engine_errors() -> Iterator[None]:
    try:
        yield
    except NotFound as error:
        raise GoneError(_reason(error)) from error
    except APIError as error:
        if error.status_code == _CONFLICT:
            raise GoneError(_reason(error)) from error
        raise _failure(error) from error
    # HTTPError: a stream was interrupted.
    except (DockerException, RequestException, HTTPError) as error:
        raise _failure(error) from error


def _failure(error: Exception) -> EngineError:
    return EngineError(
        "engine-failed",
        f"the Docker engine at {engine_host()} failed: {_reason(error)}",
        remedy="docker info, which shows what is wrong with it",
    )


def _reason(error: Exception) -> str:
    return str(error.explanation if isinstance(error, APIError) and error.explanation else error)


def _container(found: DockerContainer) -> Container:
    attributes = found.attrs
    return Container(
        id=str(found.id),
        name=str(found.name),
        labels=found.labels,
        created=datetime.fromisoformat(attributes["Created"]),
        status=str(found.status),
        health=str(found.health),
        exit_code=int(attributes["State"].get("ExitCode") or 0),
        restarts=int(attributes.get("RestartCount") or 0),
        volumes={
            str(mount["Name"]): str(mount.get("Destination", ""))
            for mount in attributes.get("Mounts") or []
            if mount.get("Name")
        },
    )


def _network(found: DockerNetwork) -> Network:
    attributes = found.attrs or {}
    return Network(
        id=str(found.id),
        name=str(found.name),
        labels=attributes.get("Labels") or {},
        created=datetime.fromisoformat(attributes["Created"]),
    )


def _mounts(task: TaskLike) -> Iterator[dict[str, object]]:
    for volume, target in task.volumes.items():
        yield {"Type": "volume", "Source": volume, "Target": target}
    for path, target in task.host_paths.items():
        yield {"Type": "bind", "Source": str(path), "Target": target, "ReadOnly": True}


def _of_stack(prefix: str) -> dict[str, str | list[str] | bool]:
    return {"label": f"{labels.STACK}={prefix}"}

"""Containers of the PostgreSQL image outside of any stack, on a volume that a test prepares."""

from __future__ import annotations

import io
import tarfile
import uuid

from docker import DockerClient
from docker.models.containers import Container

from components.database.managed import PRIVATE_TABLES

from .limits import STOP

DATA = "/var/lib/postgresql/data"
PASSWORD = "a-password-of-a-test"
USER = "999:999"


class PostgresContainers:
    """Containers on one volume, with the same restrictions as in a stack."""

    def __init__(self, engine: DockerClient, image: str) -> None:
        self.engine = engine
        self.image = image
        self.volume = f"it-{uuid.uuid4().hex[:8]}"
        self.containers: list[Container] = []

    def start(
        self,
        *,
        user: str = "mlflow",
        database: str = "mlflow",
        password: str = PASSWORD,
        target: str = DATA,
        major: str = "17",
        **environment: str,
    ) -> Container:
        container = self.engine.containers.create(
            self.image,
            environment={
                "MLFLOW_POSTGRES_MAJOR": major,
                "MLFLOW_POSTGRES_VOLUME": self.volume,
                "MLFLOW_POSTGRES_DATABASE": database,
                "MLFLOW_POSTGRES_USER": user,
                **PRIVATE_TABLES,
                "MLFLOW_POSTGRES_INTERNAL_NETWORK": "172.20.0.0/16",
                "MLFLOW_POSTGRES_PUBLISHED_TO": "nobody",
                "MLFLOW_POSTGRES_SERVER_CONNECTIONS": "20",
                "MLFLOW_POSTGRES_OWNER_CONNECTIONS": "5",
                "MLFLOW_POSTGRES_READONLY_CONNECTIONS": "5",
                "MLFLOW_POSTGRES_MONITOR_CONNECTIONS": "0",
                **environment,
            },
            volumes={
                self.volume: {"bind": target},
                self._secrets(password): {"bind": "/run/secrets", "mode": "ro"},
            },
            user=USER,
            read_only=True,
            tmpfs=dict.fromkeys(("/tmp", "/var/run/postgresql"), "size=64m,mode=0700,uid=999,gid=999"),
            cap_drop=["ALL"],
            security_opt=["no-new-privileges:true"],
            init=True,
            network_mode="none",
        )
        self.containers.append(container)
        container.start()
        return container

    def _secrets(self, password: str) -> str:
        """A volume with the three roles' passwords. The engine puts no file into a read-only container."""
        volume = f"{self.volume}-secrets-{len(self.containers)}"
        courier = self._carrier({volume: {"bind": "/run/secrets"}})
        for role, secret in (("server", password), ("owner", "an-owner"), ("readonly", "a-reader")):
            put_file(courier, f"run/secrets/{role}-password", secret)
        return volume

    def put(self, path: str, content: str) -> None:
        """Put a file into the volume."""
        put_file(self._carrier({self.volume: {"bind": DATA}}), f"{DATA}/{path}".lstrip("/"), content)

    def _carrier(self, volumes: dict[str, dict[str, str]]) -> Container:
        carrier = self.engine.containers.create(self.image, volumes=volumes)
        self.containers.append(carrier)
        return carrier

    def remove(self) -> None:
        for container in self.containers:
            container.remove(force=True, v=True)
        for volume in self.engine.volumes.list(filters={"name": self.volume}):
            volume.remove(force=True)


def put_file(container: Container, path: str, content: str) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo(path)
        entry.size, entry.uid, entry.gid, entry.mode = len(content), 999, 999, 0o400
        archive.addfile(entry, io.BytesIO(content.encode()))
    container.put_archive("/", packed.getvalue())


def is_ready(container: Container) -> bool:
    container.reload()
    assert container.status == "running", container.logs().decode()
    return container.exec_run(["pg_isready", "-q", "-h", "127.0.0.1", "-U", "mlflow"]).exit_code == 0


def refusal(container: Container) -> str:
    """What a server prints that refuses to start. Fails if it starts."""
    assert container.wait(timeout=STOP)["StatusCode"] == 64, container.logs().decode()
    return container.logs().decode()


def can_sign_in(container: Container, password: str, user: str = "mlflow") -> bool:
    check = ["psql", "-h", "127.0.0.1", "-U", user, "-d", "mlflow", "-c", "SELECT 1"]
    return container.exec_run(check, environment={"PGPASSWORD": password}).exit_code == 0


def succeeds(container: Container, statement: str, user: str = "mlflow_owner") -> bool:
    """Whether a role succeeds with a statement, over the local socket."""
    return container.exec_run(["psql", "-U", user, "-d", "mlflow", "-c", statement]).exit_code == 0


def query(container: Container, statement: str) -> list[str]:
    """The rows of a query by the superuser, with | between the columns."""
    code, said = container.exec_run(["psql", "-U", "postgres", "-d", "mlflow", "-Atc", statement])
    assert isinstance(said, bytes)
    assert code == 0, said.decode()
    return said.decode().split()

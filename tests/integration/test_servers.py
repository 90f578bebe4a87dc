"""The PostgreSQL image on volumes in every state that a volume can be left in."""

from __future__ import annotations

import io
import tarfile
import uuid
from collections.abc import Iterator

import pytest
from docker import DockerClient
from docker.models.containers import Container

from .harness import Deployment, wait_for

DATA = "/var/lib/postgresql/data"
PASSWORD = "a-password-of-a-test"


class Servers:
    """Containers of the stack's PostgreSQL image on one volume, outside of any stack."""

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
        **environment: str,
    ) -> Container:
        container = self.engine.containers.create(
            self.image,
            environment={
                "MLFLOW_POSTGRES_DATABASE": database,
                "MLFLOW_POSTGRES_USER": user,
                "MLFLOW_POSTGRES_PASSWORD_FILE": "/run/secrets/postgres-password",
                **environment,
            },
            volumes={self.volume: {"bind": target}},
            init=True,
            network_mode="none",
        )
        self.containers.append(container)
        put_file(container, "run/secrets/postgres-password", password)
        container.start()
        return container

    def put(self, path: str, content: str) -> None:
        """Put a file into the volume."""
        with_volume = self.engine.containers.create(self.image, volumes={self.volume: {"bind": DATA}})
        self.containers.append(with_volume)
        put_file(with_volume, f"{DATA}/{path}".lstrip("/"), content)

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


def answers(container: Container) -> bool:
    container.reload()
    assert container.status == "running", container.logs().decode()
    return container.exec_run(["pg_isready", "-q", "-h", "127.0.0.1", "-U", "mlflow"]).exit_code == 0


def refuses(container: Container) -> str:
    """What a server that does not start says; a test fails if it starts."""
    assert container.wait(timeout=60)["StatusCode"] == 64, container.logs().decode()
    return container.logs().decode()


def signs_in(container: Container, password: str, user: str = "mlflow") -> bool:
    check = ["psql", "-h", "127.0.0.1", "-U", user, "-d", "mlflow", "-c", "SELECT 1"]
    return container.exec_run(check, environment={"PGPASSWORD": password}).exit_code == 0


@pytest.fixture
def servers(engine: DockerClient, stack: Deployment) -> Iterator[Servers]:
    made = Servers(engine, stack.image("postgres"))
    try:
        yield made
    finally:
        made.remove()


@pytest.mark.parametrize("superuser", ["postgres", "mlflow"])
def test_a_cluster_that_was_made_by_a_tutorial_opens(servers: Servers, superuser: str) -> None:
    """`docker run postgres` with a password of its own, and with or without a user of its own."""
    settings = {"POSTGRES_USER": superuser, "POSTGRES_PASSWORD": "tutorial"}
    tutorial = servers.engine.containers.run(
        servers.image,
        ["docker-entrypoint.sh", "postgres"],
        entrypoint=[],
        environment=settings,
        volumes={servers.volume: {"bind": DATA}},
        detach=True,
        network_mode="none",
    )
    servers.containers.append(tutorial)
    wait_for(lambda: answers(tutorial), "the tutorial's server")
    make = "CREATE TABLE runs (id serial PRIMARY KEY, name text); INSERT INTO runs (name) VALUES ('first')"
    if superuser == "postgres":
        assert tutorial.exec_run(["createdb", "-U", superuser, "mlflow"]).exit_code == 0
    assert tutorial.exec_run(["psql", "-U", superuser, "-d", "mlflow", "-c", make]).exit_code == 0
    tutorial.stop(timeout=60)
    server = servers.start()
    wait_for(lambda: answers(server), "our server")
    assert signs_in(server, PASSWORD)
    assert not signs_in(server, "tutorial")
    more = [
        "psql",
        "-U",
        "mlflow",
        "-d",
        "mlflow",
        "-c",
        "INSERT INTO runs (name) VALUES ('x'); ALTER TABLE runs ADD b int",
    ]
    assert server.exec_run(more).exit_code == 0, "the tables must be the server's own, or it cannot migrate them"


def test_a_database_of_another_name_is_not_left_behind_unseen(servers: Servers) -> None:
    first = servers.start()
    wait_for(lambda: answers(first), "the first server")
    first.stop(timeout=60)
    said = refuses(servers.start(database="other"))
    assert "the volume holds the database mlflow, and not other" in said
    assert "bin/pulumi config set postgresDatabase mlflow" in said


def test_another_user_takes_over_and_the_former_one_is_out(servers: Servers) -> None:
    first = servers.start()
    wait_for(lambda: answers(first), "the first server")
    assert first.exec_run(["psql", "-U", "mlflow", "-d", "mlflow", "-c", "CREATE TABLE runs ()"]).exit_code == 0
    first.stop(timeout=60)
    second = servers.start(user="team")
    wait_for(lambda: answers(second), "the second server")
    assert signs_in(second, PASSWORD, user="team")
    assert not signs_in(second, PASSWORD)
    assert second.exec_run(["psql", "-U", "team", "-d", "mlflow", "-c", "DROP TABLE runs"]).exit_code == 0


@pytest.mark.parametrize("stage", ["all but PG_VERSION moved", "moved"])
def test_a_first_start_that_was_killed_in_its_last_step_is_finished(servers: Servers, stage: str) -> None:
    first = servers.start()
    wait_for(lambda: answers(first), "the first server")
    back = f"mkdir {DATA}/.making" + ("" if stage == "moved" else f" && mv {DATA}/PG_VERSION {DATA}/.making")
    first.exec_run(["sh", "-c", back])
    first.kill()
    second = servers.start()
    wait_for(lambda: answers(second), "the second server")
    assert signs_in(second, PASSWORD)


def test_the_cluster_of_18_is_inside_its_volume(servers: Servers) -> None:
    """18 keeps its data one folder higher. The binaries here are 17's; the paths and the order of steps are not."""
    place = "/var/lib/postgresql/18/docker"
    server = servers.start(target="/var/lib/postgresql", PG_MAJOR="18", PGDATA=place)
    wait_for(lambda: answers(server), "the server")
    assert server.exec_run(["test", "-s", f"{place}/PG_VERSION"]).exit_code == 0
    server.remove(force=True, v=True)
    servers.containers.remove(server)
    said = refuses(servers.start(target="/var/lib/postgresql", PG_MAJOR="18", PGDATA=place))
    assert "holds a cluster of PostgreSQL 17" in said, "what is in the volume was not found again"


def test_a_secret_that_cannot_be_read_is_no_empty_password(servers: Servers) -> None:
    assert "is empty, or" in refuses(servers.start(password=""))


def test_a_signal_in_the_middle_of_a_start_is_heard(servers: Servers) -> None:
    server = servers.start()
    wait_for(lambda: answers(server), "the server")
    server.kill()
    server.start()
    server.stop(timeout=60)
    server.reload()
    assert server.attrs["State"]["ExitCode"] != 137, "it was not heard, and the engine killed it"


@pytest.mark.parametrize("sign", [f"{DATA}/.making/PG_VERSION", f"{DATA}/.making/postmaster.pid"])
def test_a_first_start_that_was_killed_is_made_anew(servers: Servers, sign: str) -> None:
    """Killed in the middle of initdb, and in the middle of making the role; then the container is thrown away."""
    first = servers.start()
    wait_for(lambda: first.exec_run(["test", "-e", sign]).exit_code == 0, sign)
    first.kill()
    first.remove(v=True)
    servers.containers.remove(first)
    second = servers.start()
    wait_for(lambda: answers(second), "the second server")
    assert signs_in(second, PASSWORD)
    assert not signs_in(second, "another-password")


def test_a_killed_server_recovers(servers: Servers) -> None:
    server = servers.start()
    wait_for(lambda: answers(server), "the server")
    server.exec_run(["psql", "-U", "mlflow", "-d", "mlflow", "-c", "CREATE TABLE mark AS SELECT 1"])
    server.kill()
    server.start()
    wait_for(lambda: answers(server), "the server after the kill")
    assert server.exec_run(["psql", "-U", "mlflow", "-d", "mlflow", "-c", "SELECT FROM mark"]).exit_code == 0


def test_a_second_server_on_a_volume_is_refused(servers: Servers) -> None:
    first = servers.start()
    wait_for(lambda: answers(first), "the first server")
    assert "another container runs on this volume" in refuses(servers.start())
    assert answers(first)


def test_a_volume_of_another_major_is_refused_and_left_alone(servers: Servers) -> None:
    servers.put("PG_VERSION", "16\n")
    said = refuses(servers.start())
    assert "the volume holds a cluster of PostgreSQL 16" in said
    assert "bin/pulumi config set postgresVersion 16" in said
    assert "the volume holds a cluster of PostgreSQL 16" in refuses(servers.start()), "the first try changed it"


def test_a_volume_of_18_is_refused_by_17(servers: Servers) -> None:
    servers.put("18/docker/PG_VERSION", "18\n")
    assert "the volume holds a cluster of PostgreSQL 18" in refuses(servers.start())


def test_a_volume_with_other_files_is_refused_and_left_alone(servers: Servers) -> None:
    servers.put("thesis.tex", "years of work")
    assert "holds files, such as /var/lib/postgresql/data/thesis.tex" in refuses(servers.start())
    assert "thesis.tex" in refuses(servers.start())

"""The PostgreSQL image on volumes in every state that a volume can be left in."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from docker import DockerClient
from docker.models.containers import Container

from .harness import Deployment, wait_for
from .limits import STOP
from .postgres_containers import (
    DATA,
    PASSWORD,
    USER,
    PostgresContainers,
    can_sign_in,
    is_ready,
    query,
    refusal,
    succeeds,
)


@pytest.fixture
def servers(engine: DockerClient, stack: Deployment) -> Iterator[PostgresContainers]:
    made = PostgresContainers(engine, stack.image("postgres"))
    try:
        yield made
    finally:
        made.remove()


@pytest.fixture(scope="module")
def same_volume(engine: DockerClient, stack: Deployment) -> Iterator[PostgresContainers]:
    """A volume whose cluster is made once, for the tests that do not mind what the one before has done to it."""
    made = PostgresContainers(engine, stack.image("postgres"))
    try:
        yield made
    finally:
        made.remove()


@pytest.fixture(scope="module")
def first(same_volume: PostgresContainers) -> Container:
    """The server that has made that cluster. Each test leaves it ready, but for the last three."""
    server = same_volume.start()
    wait_for(lambda: is_ready(server), "the first server")
    return server


STARTING = b"starting PostgreSQL"
MAKE = "CREATE TABLE runs (id serial PRIMARY KEY, name text); INSERT INTO runs (name) VALUES ('first')"


@pytest.mark.parametrize("superuser", ["postgres", "mlflow"])
def test_a_cluster_that_was_made_by_a_tutorial_opens(servers: PostgresContainers, superuser: str) -> None:
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
    wait_for(lambda: is_ready(tutorial), "the tutorial's server")
    if superuser == "postgres":
        assert tutorial.exec_run(["createdb", "-U", superuser, "mlflow"]).exit_code == 0
    assert succeeds(tutorial, MAKE, user=superuser)
    tutorial.stop(timeout=STOP)
    server = servers.start()
    wait_for(lambda: is_ready(server), "our server")
    _is_ours(server)
    assert not can_sign_in(server, "tutorial")


def test_a_cluster_of_a_former_version_opens(servers: PostgresContainers) -> None:
    """Its server's role owned the database and every table."""
    first = servers.start()
    wait_for(lambda: is_ready(first), "the first server")
    own = "ALTER DATABASE mlflow OWNER TO mlflow; ALTER SCHEMA public OWNER TO mlflow; GRANT CREATE ON SCHEMA public"
    assert succeeds(first, f"{own} TO mlflow; SET ROLE mlflow; {MAKE}", user="postgres")
    first.stop(timeout=STOP)
    server = servers.start()
    wait_for(lambda: is_ready(server), "our server")
    _is_ours(server)


def _is_ours(server: Container) -> None:
    assert can_sign_in(server, PASSWORD)
    roles = "SELECT rolname, rolsuper, rolpassword IS NULL FROM pg_authid WHERE rolname !~ '^pg_' ORDER BY rolname"
    assert query(server, roles) == ["mlflow|f|f", "mlflow_owner|f|f", "mlflow_readonly|f|f", "postgres|t|t"]
    assert query(server, "SELECT name FROM runs") == ["first"]
    assert succeeds(server, "INSERT INTO runs (name) VALUES ('second')", user="mlflow")
    assert not succeeds(server, "ALTER TABLE runs ADD b int", user="mlflow")
    assert succeeds(server, "ALTER TABLE runs ADD b int"), (
        "the tables must be the owner's, or the job cannot migrate them"
    )


def test_a_second_server_on_a_volume_is_refused(same_volume: PostgresContainers, first: Container) -> None:
    assert "another container runs on this volume" in refusal(same_volume.start())
    assert is_ready(first)


@pytest.mark.parametrize("stage", ["all but PG_VERSION moved", "moved"])
def test_a_first_start_that_was_killed_in_its_last_step_is_finished(first: Container, stage: str) -> None:
    back = f"mkdir {DATA}/.making" + ("" if stage == "moved" else f" && mv {DATA}/PG_VERSION {DATA}/.making")
    assert first.exec_run(["sh", "-c", back]).exit_code == 0
    first.kill()
    first.start()
    wait_for(lambda: is_ready(first), "the server that finishes it")
    assert can_sign_in(first, PASSWORD)


def test_a_killed_server_recovers(first: Container) -> None:
    assert succeeds(first, "CREATE TABLE mark AS SELECT 1")
    first.kill()
    first.start()
    wait_for(lambda: is_ready(first), "the server after the kill")
    assert succeeds(first, "SELECT FROM mark")


def test_a_signal_in_the_middle_of_a_start_is_heard(first: Container) -> None:
    """After a kill PostgreSQL first flushes every file of the volume. It hears a signal at once and stops then."""
    first.kill()
    before = first.logs().count(STARTING)
    first.start()
    wait_for(lambda: first.logs().count(STARTING) > before, "the server to start again")
    first.stop(timeout=STOP)
    first.reload()
    assert first.attrs["State"]["ExitCode"] != 137, "it was not heard, and the engine killed it"


@pytest.mark.usefixtures("first")
def test_a_database_of_another_name_is_not_left_behind_unseen(same_volume: PostgresContainers) -> None:
    said = refusal(same_volume.start(database="other"))
    assert "the volume holds the database mlflow, and not other" in said
    assert "bin/pulumi config set postgresDatabase mlflow" in said


@pytest.mark.usefixtures("first")
def test_another_user_takes_over_and_the_former_one_is_out(same_volume: PostgresContainers) -> None:
    second = same_volume.start(user="team")
    wait_for(lambda: is_ready(second), "the second server")
    assert can_sign_in(second, PASSWORD, user="team")
    assert not can_sign_in(second, PASSWORD)
    assert succeeds(second, "SELECT FROM mark", user="team")
    assert succeeds(second, "DROP TABLE mark", user="team_owner")


def test_the_cluster_of_18_is_inside_its_volume(servers: PostgresContainers) -> None:
    """18 keeps its data one folder higher. The binaries here are 17's; the paths and the order of steps are not."""
    place = "/var/lib/postgresql/18/docker"
    server = servers.start(target="/var/lib/postgresql", major="18", PG_MAJOR="18", PGDATA=place)
    wait_for(lambda: is_ready(server), "the server")
    assert server.exec_run(["test", "-s", f"{place}/PG_VERSION"]).exit_code == 0
    server.remove(force=True, v=True)
    servers.containers.remove(server)
    said = refusal(servers.start(target="/var/lib/postgresql", major="18", PG_MAJOR="18", PGDATA=place))
    assert "holds a cluster of PostgreSQL 17" in said, "what is in the volume was not found again"


def test_a_secret_that_cannot_be_read_is_no_empty_password(servers: PostgresContainers) -> None:
    assert "is empty, or" in refusal(servers.start(password=""))


@pytest.mark.parametrize("sign", [f"{DATA}/.making/PG_VERSION", f"{DATA}/.making/postmaster.pid"])
def test_a_first_start_that_was_killed_is_made_anew(servers: PostgresContainers, sign: str) -> None:
    """Killed in the middle of initdb, and in the middle of making the role; then the container is thrown away."""
    first = servers.start()
    wait_for(lambda: first.exec_run(["test", "-e", sign]).exit_code == 0, sign)
    first.kill()
    first.remove(v=True)
    servers.containers.remove(first)
    second = servers.start()
    wait_for(lambda: is_ready(second), "the second server")
    assert can_sign_in(second, PASSWORD)
    assert not can_sign_in(second, "another-password")


def test_a_full_volume_is_said_and_nothing_is_lost_on_it(servers: PostgresContainers) -> None:
    """In memory, 150 MB of it: another container keeps it there while no server runs, and fills it."""
    memory = {"type": "tmpfs", "device": "tmpfs", "o": "size=150m,uid=999,gid=999"}
    servers.engine.volumes.create(servers.volume, driver_opts=memory)
    keeper = servers.engine.containers.run(
        servers.image,
        ["600"],
        entrypoint=["sleep"],
        volumes={servers.volume: {"bind": DATA}},
        user=USER,
        network_mode="none",
        detach=True,
    )
    servers.containers.append(keeper)
    server = servers.start()
    wait_for(lambda: is_ready(server), "the server")
    assert succeeds(server, "CREATE TABLE mark AS SELECT 1")
    server.kill()
    assert keeper.exec_run(["dd", "if=/dev/zero", f"of={DATA}/filler", "bs=1M"]).exit_code, "it never was full"
    server.start()
    assert server.wait(timeout=STOP)["StatusCode"] not in (0, 64)
    said = server.logs().decode()
    assert re.search(rf"the volume {servers.volume} has \d+ kB free, and PostgreSQL needs \d+ kB to recover", said), (
        said
    )
    assert "no data is lost. Mend it by making space" in said
    keeper.exec_run(["rm", f"{DATA}/filler"])
    server.start()
    wait_for(lambda: is_ready(server), "the server with space again")
    assert succeeds(server, "SELECT FROM mark")


def test_a_volume_of_another_major_is_refused_and_left_alone(servers: PostgresContainers) -> None:
    servers.put("PG_VERSION", "16\n")
    said = refusal(servers.start())
    assert "the volume holds a cluster of PostgreSQL 16" in said
    assert "bin/pulumi config set postgresVersion 16" in said
    assert "the volume holds a cluster of PostgreSQL 16" in refusal(servers.start()), "the first try changed it"


def test_a_volume_of_18_is_refused_by_17(servers: PostgresContainers) -> None:
    servers.put("18/docker/PG_VERSION", "18\n")
    assert "the volume holds a cluster of PostgreSQL 18" in refusal(servers.start())


def test_a_volume_with_other_files_is_refused_and_left_alone(servers: PostgresContainers) -> None:
    servers.put("thesis.tex", "years of work")
    assert "holds files, such as /var/lib/postgresql/data/thesis.tex" in refusal(servers.start())
    assert "thesis.tex" in refusal(servers.start())

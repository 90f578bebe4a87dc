"""What each service is told: where its data is, how it is known to be ready, to which names it answers."""

from __future__ import annotations

from fnmatch import fnmatch
from typing import Any

import pytest

from components import MlflowOptions, PostgresOptions

from .deploy import EVERYTHING, IMAGES, deploy, everything
from .fake_engine import IMAGE, FakeEngine

PATHS = {
    **dict.fromkeys(range(13, 18), "/var/lib/postgresql/data"),
    18: "/var/lib/postgresql",
}


@pytest.mark.parametrize(("major", "path"), PATHS.items())
def test_the_data_is_mounted_where_the_image_of_its_major_keeps_it(major: int, path: str) -> None:
    server = deploy(postgres=PostgresOptions(version=str(major))).container("postgres")
    assert server.mounted[path] == "mlflow-postgres-dev-postgres-data", "on a wrong mount the data goes with it"
    assert set(server.mounted) == {path, "/run/secrets"}


def test_artifacts_are_on_their_volume_and_mlflow_serves_them_from_there() -> None:
    server = deploy().container("mlflow")
    command = server.inputs["command"]
    where = command[command.index("--artifacts-destination") + 1]
    assert server.mounted[where] == "mlflow-postgres-dev-mlflow-artifacts"
    assert "--serve-artifacts" in command


def test_dumps_are_on_a_volume() -> None:
    job = deploy().container("schema")
    volume = "mlflow-postgres-dev-backups"
    assert job.mounted["/backups"] == volume, "the way back would go with the job"
    assert job.environment.get("BACKUPS_VOLUME", volume) == volume, "if the job names it, then by its name"


def test_the_job_migrates_the_schema_and_grants_privileges_to_the_servers_role() -> None:
    job = deploy(postgres=PostgresOptions(user="tracker")).container("schema")
    assert job.inputs["command"] == ["migrate"]
    assert job.environment["MLFLOW_POSTGRES_USER"] == "tracker"


def test_the_database_gets_its_name_and_role() -> None:
    options = PostgresOptions(user="tracker", database="runs", version="16")
    environment = deploy(postgres=options).container("postgres").environment
    told = {key: environment[f"MLFLOW_POSTGRES_{key}"] for key in ("USER", "DATABASE", "MAJOR", "VOLUME")}
    volume = "mlflow-postgres-dev-postgres-data"
    assert told == {"USER": "tracker", "DATABASE": "runs", "MAJOR": "16", "VOLUME": volume}


def test_the_database_is_probed_over_tcp() -> None:
    engine = deploy(postgres=PostgresOptions(database="runs", user="tracker"))
    probe = engine.container("postgres").inputs["healthcheck"]["tests"]
    assert probe[7:] == ["pg_isready", "-h", "127.0.0.1", "-U", "tracker", "-d", "runs"], (
        "while a cluster is first made, a server without TCP answers on the socket and is gone a moment later"
    )


@pytest.mark.parametrize("role", sorted({*EVERYTHING.image_builds} - {"postgres"}))
def test_other_services_are_probed_by_their_script(role: str) -> None:
    assert everything().container(role).inputs["healthcheck"]["tests"][7:] == ["ready"]


def test_images_are_built_from_the_chosen_base_images_and_version() -> None:
    engine = everything(
        sign_in=False,
        mlflow=MlflowOptions(version="3.6.0"),
        postgres=PostgresOptions(image="one"),
        python_image="two",
        debian_image="three",
    )
    arguments = {name: each.inputs["build"]["buildArgs"] for name, each in engine.of(IMAGE).items()}
    assert arguments == {
        "mlflow-postgres-postgres-image": {"BASE_IMAGE": "one"},
        # Dumps are made and read by the tools of the very server.
        "mlflow-postgres-mlflow-image": {"BASE_IMAGE": "two", "MLFLOW_VERSION": "3.6.0", "POSTGRES_IMAGE": "one"},
        "mlflow-postgres-adminer-image": {"BASE_IMAGE": "three"},
        "mlflow-postgres-exporter-image": {"BASE_IMAGE": "three"},
        "mlflow-postgres-gateway-image": {"BASE_IMAGE": "three"},
    }


def test_images_are_built_with_the_hosts_network() -> None:
    modes = {each.inputs["build"]["networkMode"] for each in everything().of(IMAGE).values()}
    assert modes == {"host"}, "a container's own network may have no name server"


# As MLflow compares the Host header of a request with its list.
def answers_to(host: str, **changes: Any) -> bool:
    allowed = allowed_hosts(deploy(**changes))
    return any(fnmatch(host, each) if "*" in each else host == each for each in allowed)


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "localhost:9999", "127.0.0.1:21000", "[::1]:9999", "0.0.0.0:5000", "192.168.1.4:9", "10.1.2.3"),
        *("172.16.0.1:5000", "172.31.9.9:1", "[fd00::7]:5000", "[fc00::7]"),
        *("mlflow", "mlflow:5000", "mlflow-postgres-dev-mlflow", "mlflow-postgres-dev-mlflow:5000"),
    ],
)
def test_mlflow_answers_to_its_default_names_on_any_port(host: str) -> None:
    """A tunnel, such as `ssh -L 9999:localhost:5000`, comes by a port that nobody has opened here."""
    assert answers_to(host)


@pytest.mark.parametrize(
    "host", ["evil.test", "evil.test:5000", "192.0.2.7", "172.15.0.1", "172.32.0.1", "mlflow:6000"]
)
@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_mlflow_answers_to_no_public_name(host: str, address: str) -> None:
    """A web page that makes its own name point here would otherwise read every run."""
    assert not answers_to(host, bind_address=address, allow_open_access=True)


@pytest.mark.parametrize(("address", "host"), [("192.0.2.7", "192.0.2.7:5000"), ("2001:db8::7", "[2001:db8::7]:5000")])
def test_mlflow_answers_to_the_address_it_is_bound_to(address: str, host: str) -> None:
    assert answers_to(host, bind_address=address, allow_open_access=True)
    command = deploy(bind_address=address, allow_open_access=True).container("mlflow").inputs["command"]
    assert command[command.index("--cors-allowed-origins") + 1] == f"http://{host}", "its own pages ask from there"


@pytest.mark.parametrize("host", ["mlflow.lan", "mlflow.lan:443", "192.0.2.7:8000", "[2001:db8::7]:1"])
def test_mlflow_answers_to_added_names(host: str) -> None:
    added = ("mlflow.lan", "192.0.2.7", "2001:db8::7")
    assert not answers_to(host)
    assert answers_to(host, allowed_hosts=added)
    command = deploy(allowed_hosts=added).container("mlflow").inputs["command"]
    assert "https://mlflow.lan" in command[command.index("--cors-allowed-origins") + 1].split(",")


def test_behind_a_gateway_mlflow_answers_to_no_address_of_the_host() -> None:
    assert not {
        each for each in allowed_hosts(everything(bind_address="0.0.0.0")) if "*" in each or "localhost" in each
    }


def allowed_hosts(engine: FakeEngine) -> set[str]:
    command = engine.container("mlflow").inputs["command"]
    return set(command[command.index("--allowed-hosts") + 1].split(","))


def test_there_is_one_list_of_private_tables() -> None:
    """The server at its start and the schema job each had one of their own."""
    told = [
        everything().container(role).environment["MLFLOW_POSTGRES_PRIVATE_TABLES"] for role in ("postgres", "schema")
    ]
    assert told == ["users,secrets,webhooks,jobs"] * 2
    names = told[0].split(",")
    texts = [path for path in IMAGES.rglob("*") if path.is_file() and path.suffix in ("", ".py", ".sql")]
    assert not [path for path in texts if all(f"'{name}'" in path.read_text().replace('"', "'") for name in names)]


def test_adminer_gets_its_server_and_roles() -> None:
    options = PostgresOptions(user="tracker", database="runs")
    told = everything(postgres=options).container("adminer").environment
    assert told == {
        "MLFLOW_POSTGRES_HOST": "postgres",
        "MLFLOW_POSTGRES_DATABASE": "runs",
        "MLFLOW_POSTGRES_USER": "tracker",
        "MLFLOW_POSTGRES_READONLY_USER": "tracker_readonly",
    }, "a password it is not told: whoever opens the page types it"

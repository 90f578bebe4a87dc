"""Each service's container: how it is reached, how it is known to be ready, where its data is, how it ends."""

from __future__ import annotations

import pytest

from .deploy import deploy, everything
from .fake_engine import CONTAINER, IMAGE, FakeEngine

PATHS = {
    **dict.fromkeys(range(13, 18), "/var/lib/postgresql/data"),
    18: "/var/lib/postgresql",
}


@pytest.mark.parametrize(("major", "path"), PATHS.items())
def test_the_data_is_mounted_where_the_image_of_its_major_keeps_it(major: int, path: str) -> None:
    engine = deploy(postgres_major=major)
    assert engine.container("postgres").inputs["mounts"] == [
        {"type": "volume", "source": "mlflow-postgres-dev-postgres-data", "target": path}
    ], "on a wrong mount the data goes with the container"


def test_artifacts_are_on_their_volume_and_mlflow_serves_them_from_there() -> None:
    inputs = deploy().container("mlflow").inputs
    (mount,) = inputs["mounts"]
    assert (mount["source"], mount["target"]) == ("mlflow-postgres-dev-mlflow-artifacts", "/mlartifacts")
    command = inputs["command"]
    assert command[command.index("--artifacts-destination") + 1] == mount["target"]


def test_only_mlflow_is_reached_from_the_host_unless_more_is_asked_for() -> None:
    engine = deploy()
    assert published(engine) == {("mlflow", "127.0.0.1", 5000, 5000)}


def test_every_port_is_on_loopback_by_default() -> None:
    engine = everything()
    assert published(engine) == {
        ("mlflow", "127.0.0.1", 5000, 5000),
        ("postgres", "127.0.0.1", 5432, 5432),
        ("adminer", "127.0.0.1", 8080, 8080),
    }, "closed by default: nobody asked for these ports to be open to the network"


def test_ports_are_opened_on_the_address_and_with_the_numbers_that_were_chosen() -> None:
    engine = everything(bind_address="192.0.2.7", mlflow_port=1, postgres_port=2, adminer_port=3)
    assert published(engine) == {
        ("mlflow", "192.0.2.7", 1, 5000),
        ("postgres", "192.0.2.7", 2, 5432),
        ("adminer", "192.0.2.7", 3, 8080),
    }


def test_a_service_answers_to_its_role_on_every_network_it_is_on() -> None:
    engine = everything()
    for each in engine.of(CONTAINER).values():
        role = each.labels["mlflow-postgres.role"]
        assert each.inputs["hostname"] == role
        assert {tuple(joined["aliases"]) for joined in each.inputs["networksAdvanced"]} == {(role,)}


def test_every_container_is_waited_for_until_its_probe_succeeds() -> None:
    engine = everything()
    for name, each in engine.of(CONTAINER).items():
        assert each.inputs["wait"] is True, f"{name}: else the URL is printed before anything answers there"
        kind, *command = each.inputs["healthcheck"]["tests"]
        assert kind == "CMD", f"{name}: without a shell, so that no name needs quoting"
        assert command, f"{name}: waiting without a probe is an error of the provider"


def test_the_database_is_probed_over_tcp() -> None:
    engine = deploy(database="runs", user="tracker")
    probe = engine.container("postgres").inputs["healthcheck"]["tests"]
    assert probe == ["CMD", "pg_isready", "-h", "127.0.0.1", "-U", "tracker", "-d", "runs"], (
        "while a cluster is first made, a server without TCP answers on the socket and is gone a moment later"
    )


def test_the_provider_waits_as_long_as_the_engine_does() -> None:
    engine = everything()
    waits = {role: engine.container(role).inputs for role in ("postgres", "mlflow", "adminer")}
    assert {role: each["waitTimeout"] for role, each in waits.items()} == {
        "postgres": 180,
        "mlflow": 180,
        "adminer": 60,
    }
    periods = {role: each["healthcheck"]["startPeriod"] for role, each in waits.items()}
    assert periods == dict.fromkeys(("postgres", "mlflow", "adminer"), "10m0s"), (
        "a duration said in other words than the engine's comes back as a change"
    )


def test_a_changed_probe_replaces_its_container_and_no_other() -> None:
    before = deploy()
    after = deploy(database="runs")
    changed = {
        role
        for role in ("postgres", "mlflow")
        if before.container(role).labels["mlflow-postgres.probe"]
        != after.container(role).labels["mlflow-postgres.probe"]
    }
    assert changed == {"postgres"}, "the provider may ignore a changed health check, but never a changed label"


def test_every_container_comes_back_after_a_restart_of_the_host() -> None:
    engine = everything()
    assert {each.inputs["restart"] for each in engine.of(CONTAINER).values()} == {"unless-stopped"}


def test_every_container_reaps_its_children() -> None:
    engine = everything()
    assert {each.inputs["init"] for each in engine.of(CONTAINER).values()} == {True}


def test_the_database_has_two_minutes_to_write_everything_out() -> None:
    inputs = deploy().container("postgres").inputs
    assert inputs["stopTimeout"] == 120, "a killed server costs a recovery at the next start"
    assert inputs["destroyGraceSeconds"] == 120, "the provider kills what has no grace, whatever the container says"


def test_the_database_has_more_shared_memory_than_an_engine_gives_by_itself() -> None:
    assert deploy().container("postgres").inputs["shmSize"] > 64, "parallel queries fail when it is used up"


def test_a_container_runs_the_image_that_was_built_for_it() -> None:
    engine = everything()
    for role in ("postgres", "mlflow", "adminer"):
        container = engine.container(role)
        sources = {urn.rpartition("::")[2] for urn in container.request.propertyDependencies["image"].urns}
        assert sources == {f"mlflow-postgres-{role}-image"}, "by its id: a tag may come to mean another image"


def test_images_are_built_from_the_bases_and_for_the_version_that_were_chosen() -> None:
    engine = everything(postgres_base="one", python_base="two", debian_base="three", mlflow_version="3.0.0")
    arguments = {name: each.inputs["build"]["buildArgs"] for name, each in engine.of(IMAGE).items()}
    assert arguments == {
        "mlflow-postgres-postgres-image": {"BASE_IMAGE": "one"},
        "mlflow-postgres-mlflow-image": {"BASE_IMAGE": "two", "MLFLOW_VERSION": "3.0.0"},
        "mlflow-postgres-adminer-image": {"BASE_IMAGE": "three"},
    }


def test_mlflow_answers_to_its_own_names_only() -> None:
    assert allowed_hosts(deploy(mlflow_port=5001)) == {
        *("localhost:5001", "127.0.0.1:5001", "[::1]:5001"),
        *("mlflow", "mlflow:5000", "127.0.0.1:5000"),
    }, "a web page that makes its own name point here would otherwise read every run"


@pytest.mark.parametrize(("address", "host"), [("192.0.2.7", "192.0.2.7:5000"), ("2001:db8::7", "[2001:db8::7]:5000")])
def test_mlflow_answers_to_the_address_it_is_bound_to(address: str, host: str) -> None:
    assert host in allowed_hosts(deploy(bind_address=address))


def test_mlflow_on_every_address_answers_to_private_ones_only() -> None:
    allowed = allowed_hosts(deploy(bind_address="0.0.0.0"))
    assert {"10.*", "192.168.*", "172.16.*", "172.31.*"} <= allowed
    assert not {"*", "172.15.*", "172.32.*"} & allowed, "a public name is for a gateway with sign-in"


def published(engine: FakeEngine) -> set[tuple[str, str, int, int]]:
    """Every port that the host opens: role, address, port on the host, port in the container."""
    return {
        (each.labels["mlflow-postgres.role"], port["ip"], int(port["external"]), int(port["internal"]))
        for each in engine.of(CONTAINER).values()
        for port in each.inputs.get("ports", [])
    }


def allowed_hosts(engine: FakeEngine) -> set[str]:
    command = engine.container("mlflow").inputs["command"]
    return set(command[command.index("--allowed-hosts") + 1].split(","))

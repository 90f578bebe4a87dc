"""What every container may do: as little as it needs. Networks and secrets are in files of their own."""

from __future__ import annotations

import re

import pytest

from components import Limits, MlflowOptions, PostgresOptions

from .deploy import deploy, everything, services
from .fake_engine import Registration

# The user ids inside the images: `postgres` in the official one, `nobody`, `www-data`.
USERS = {
    **{"postgres": 999, "schema": 65534, "mlflow": 65534, "gateway": 65534, "adminer": 33},
    **{"gc": 65534, "exporter": 65534},
}
SERVICES = sorted(set(USERS) - {"schema"})
WRITABLE = {
    "postgres": {"/tmp", "/run/postgresql", "/var/lib/postgresql/data"},
    "schema": {"/tmp", "/home/mlflow", "/backups", "/keys"},
    "mlflow": {"/tmp", "/home/mlflow", "/mlartifacts", "/run/metrics"},
    "gateway": {"/tmp", "/data"},
    "adminer": {"/tmp", "/var/lib/php/sessions"},
    "gc": {"/home/mlflow", "/mlartifacts"},
    "exporter": set(),
}


def container(role: str) -> Registration:
    return everything().container(role)


def test_all_containers_are_listed() -> None:
    assert services(everything()) == set(USERS), "one that is missing here is held to none of the promises below"


@pytest.mark.parametrize("role", USERS)
def test_no_container_runs_as_root(role: str) -> None:
    user = USERS[role]
    assert container(role).inputs["user"] == f"{user}:{user}", "by number: a name may be another user in the image"


@pytest.mark.parametrize("role", USERS)
def test_every_root_file_system_is_read_only(role: str) -> None:
    assert container(role).inputs["readOnly"] is True, "who breaks in could leave something for the next start"


@pytest.mark.parametrize("role", USERS)
def test_no_container_has_or_gains_privileges(role: str) -> None:
    inputs = container(role).inputs
    assert inputs["capabilities"] == {"drops": ["ALL"]}
    assert inputs["securityOpts"] == ["no-new-privileges:true"], "a setuid program would hand them back"
    assert not inputs.get("privileged")


@pytest.mark.parametrize("role", USERS)
def test_all_writable_folders_are_listed(role: str) -> None:
    inputs = container(role).inputs
    mounted = {each["target"] for each in inputs["mounts"] if not each.get("readOnly")} if "mounts" in inputs else set()
    scratch = {each["containerPath"] for each in inputs.get("volumes", []) if not each["readOnly"]}
    assert mounted | scratch | set(inputs.get("tmpfs", {})) == WRITABLE[role]


@pytest.mark.parametrize("role", USERS)
def test_a_tmpfs_belongs_to_its_user_and_has_a_size_limit(role: str) -> None:
    options = set(container(role).inputs.get("tmpfs", {}).values())
    assert options <= {f"size=64m,mode=0700,uid={USERS[role]},gid={USERS[role]}"}


@pytest.mark.parametrize("role", ["mlflow", "schema"])
def test_large_temporary_files_are_in_an_anonymous_volume(role: str) -> None:
    (scratch,) = container(role).inputs["volumes"]
    assert scratch == {"containerPath": "/tmp", "readOnly": False}, "with a name it would stay; in memory it would kill"


@pytest.mark.parametrize("role", USERS)
def test_every_container_has_limits(role: str) -> None:
    inputs = container(role).inputs
    assert inputs["memory"] >= 256
    assert inputs["memorySwap"] == inputs["memory"], "left out, the engine gives as much swap again"
    (limit,) = inputs["ulimits"]
    assert limit["name"] == "nproc"
    assert 0 < limit["soft"] == limit["hard"] <= 4096


@pytest.mark.parametrize("role", USERS)
def test_every_log_has_a_size_limit(role: str) -> None:
    inputs = container(role).inputs
    assert inputs["logDriver"] == "json-file"
    assert inputs["logOpts"] == {"max-size": "10m", "max-file": "3"}, (
        "else every request adds to it until the disk is full"
    )


@pytest.mark.parametrize("role", USERS)
def test_an_init_process_reaps_zombies_and_forwards_signals(role: str) -> None:
    assert container(role).inputs["init"] is True


@pytest.mark.parametrize("role", SERVICES)
def test_a_service_starts_again_after_a_restart_of_the_host(role: str) -> None:
    assert container(role).inputs["restart"] == "always"


@pytest.mark.parametrize("role", SERVICES)
def test_pulumi_waits_until_a_service_is_healthy(role: str) -> None:
    inputs = container(role).inputs
    assert inputs["wait"] is True, "else the URL is printed before anything answers there"
    kind, shell, option, _, _, _, _, *command = inputs["healthcheck"]["tests"]
    assert (kind, shell, option) == ("CMD", "sh", "-c"), "the command is no part of the script: no name needs quoting"
    assert command, "waiting without a probe is an error of the provider"


@pytest.mark.parametrize(
    ("role", "patience", "timeout"),
    [
        ("postgres", 180, "15s"),
        ("mlflow", 180, "15s"),
        ("gateway", 180, "15s"),
        ("adminer", 60, "15s"),
        # It rests for half a minute: each look asks the database for all of its statistics.
        ("exporter", 60, "40s"),
    ],
)
def test_the_provider_waits_as_long_as_the_engine_does(role: str, patience: int, timeout: str) -> None:
    inputs = container(role).inputs
    assert inputs["waitTimeout"] == patience
    times = [inputs["healthcheck"][each] for each in ("startPeriod", "interval", "timeout")]
    assert times == ["10m0s", "1s", timeout], "a duration said in other words than the engine's comes back as a change"


def test_a_task_runs_once_and_its_log_is_kept() -> None:
    inputs = container("schema").inputs
    assert inputs["restart"] == "no", "one that failed would run again behind Pulumi's back"
    assert (inputs["attach"], inputs["logs"]) == (True, True), "else its failure is known to nobody"
    assert inputs["mustRun"] is False, "the next refresh would start it again"
    assert "wait" not in inputs
    assert "healthcheck" not in inputs
    # A task that is cut short by the provider's 20 minutes would leave a migration in the middle.
    assert container("schema").request.customTimeouts.create == "24h"


@pytest.mark.parametrize(("role", "kind"), [*((role, "service") for role in SERVICES), ("schema", "task")])
def test_a_container_has_its_kind_as_a_label(role: str, kind: str) -> None:
    assert container(role).labels["mlflow-postgres.kind"] == kind, "`make up` would remove a task that has ended well"


def test_the_database_gets_a_fast_shutdown_of_two_minutes() -> None:
    inputs = container("postgres").inputs
    assert inputs["stopSignal"] == "SIGINT", "on SIGTERM it waits for every client to leave by itself, and is killed"
    assert inputs["stopTimeout"] == 120, "a killed server costs a recovery at the next start"
    assert inputs["destroyGraceSeconds"] == 120, "the provider kills what has no grace, whatever the container says"


@pytest.mark.parametrize("role", sorted(set(SERVICES) - {"postgres"}))
def test_other_services_stop_within_half_a_minute(role: str) -> None:
    inputs = container(role).inputs
    stop = (inputs["stopSignal"], inputs["stopTimeout"], inputs["destroyGraceSeconds"])
    assert stop == ("SIGTERM", 30, 30)


def test_chosen_limits_are_used() -> None:
    engine = deploy(
        mlflow=MlflowOptions(limits=Limits(memory_mb=3000, cpus=1.5)),
        postgres=PostgresOptions(limits=Limits(memory_mb=1000, cpus=0.5, shared_memory_mb=250)),
    )
    chosen = {
        role: [engine.container(role).inputs.get(each) for each in ("memory", "memorySwap", "cpus", "shmSize")]
        for role in ("mlflow", "postgres")
    }
    assert chosen == {"mlflow": [3000, 3000, "1.5", 64], "postgres": [1000, 1000, "0.5", 250]}


def test_without_a_number_of_processors_there_is_no_limit() -> None:
    assert {"cpus"} & set(container("mlflow").inputs) == set(), "0 is no number that the engine takes"


def test_the_database_has_more_shared_memory_than_dockers_default() -> None:
    assert container("postgres").inputs["shmSize"] > 64, "parallel queries fail when it is used up"


@pytest.mark.parametrize("role", USERS)
def test_a_container_runs_its_own_image(role: str) -> None:
    image = "mlflow" if role in ("schema", "gc") else role
    sources = {urn.rpartition("::")[2] for urn in container(role).request.propertyDependencies["image"].urns}
    assert sources == {f"mlflow-postgres-{image}-image"}
    assert container(role).inputs["image"] == "sha256:fake", "by its id: a tag may come to mean another image"


@pytest.mark.parametrize("role", USERS)
def test_the_network_mode_is_named(role: str) -> None:
    assert container(role).inputs["networkMode"] == "bridge", "left out, every plan wants a replacement"


def test_a_changed_probe_replaces_its_container_and_no_other() -> None:
    before, after = deploy(), deploy(postgres=PostgresOptions(database="runs"))
    label = "mlflow-postgres.probe"
    changed = {role for role in ("postgres", "mlflow") if differs(before.container(role), after.container(role), label)}
    assert changed == {"postgres"}, "the provider may ignore a changed health check, but never a changed label"
    assert re.fullmatch(r"[0-9a-f]{16}", before.container("postgres").labels[label])


def differs(one: Registration, other: Registration, label: str) -> bool:
    return one.labels[label] != other.labels[label]

"""What is declared in one place reaches the others. Each test here fails when a line is forgotten."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components import DockerHost, ExternalDatabase, Login, PlatformArgs, PostgresOptions, Tls
from components.validation import OWN_ROLES
from contract import roles
from ops.doctor.services import expected
from ops.doctor.subject import subject_of

from .deploy import EVERYTHING, IMAGES, deploy, everything, leaves, prefix_of, run_platform, services
from .fake_docker import FakeContainer, FakeDocker
from .fake_engine import CONTAINER, IMAGE, FakeEngine, Registration, plain

WITH_SETTINGS = {"postgres": PostgresOptions(port=5432, settings={"work_mem": "64MB"})}


def other_engine(prefix: str, deployment: pulumi.Input[str]) -> DockerHost:
    return DockerHost(f"{prefix}-other", deployment)


def other_database() -> ExternalDatabase:
    login = Login(user="me", password=pulumi.Output.secret("password"))
    return ExternalDatabase(
        host="db.example.com", database="runs", owner=login, server=login, readonly=login, monitor=login
    )


# Another value for each argument of a platform, and for each option of a service.
CHANGED: dict[str, Any] = {
    "images": Path(IMAGES.parent, "tests", "..", "images"),
    "engine": other_engine,
    # Called by the test: an output needs its event loop.
    "database_server": other_database,
    "mlflow.version": "3.6.0",
    "mlflow.port": 5001,
    "mlflow.workers": 7,
    "mlflow.jobs": True,
    "mlflow.limits.memory_mb": 3000,
    "mlflow.limits.cpus": 1.5,
    "mlflow.limits.processes": 99,
    "mlflow.limits.shared_memory_mb": 99,
    "postgres.version": "16",
    "postgres.image": "mine",
    "postgres.database": "runs",
    "postgres.user": "tracker",
    "postgres.port": 5433,
    "postgres.settings": {"work_mem": "64MB"},
    "postgres.limits.memory_mb": 1000,
    "postgres.limits.cpus": 1.5,
    "postgres.limits.processes": 99,
    "postgres.limits.shared_memory_mb": 99,
    "adminer.port": 8081,
    "python_image": "mine",
    "debian_image": "mine",
    "bind_address": "192.0.2.7",
    "allow_open_access": True,
    "allowed_hosts": ("mlflow.lan",),
    "endpoint.hostname": "other.example.com",
    "endpoint.tls": Tls.INTERNAL,
    "endpoint.https_port": 444,
    "endpoint.http_port": 81,
    "endpoint.acme_email": "me@example.com",
    "endpoint.certificate": "-----BEGIN CERTIFICATE-----\nother\n",
    "endpoint.key": "other",
    "metrics.mlflow_port": 9003,
    "metrics.postgres_port": 9004,
    "sign_in": False,
    "credentials_version": 2,
    "gc_after_days": 31,
    "keep_data": False,
    "protect_data": True,
}
# What else a platform must be for a change to matter.
BESIDE: dict[str, dict[str, Any]] = {
    "database_server": {"postgres.port": None},
    "mlflow.version": {"sign_in": False},
    "mlflow.port": {"endpoint": None},
    "allow_open_access": {"bind_address": "192.0.2.7"},
    "endpoint.acme_email": {"endpoint.tls": Tls.ACME},
}
TRIAL = "mlflow-postgres-postgres-settings"


def changed(arguments: Any, path: str, value: object) -> Any:
    """The arguments with one of them, named as `leaves` names it, changed."""
    head, _, rest = path.partition(".")
    if not rest:
        return replace(arguments, **{head: value})
    if head in {field.name for field in fields(arguments)}:
        return replace(arguments, **{head: changed(getattr(arguments, head), rest, value)})
    return replace(
        arguments,
        sidecars=[changed(each, rest, value) if prefix_of(each) == head else each for each in arguments.sidecars],
    )


def planned(args: PlatformArgs) -> FakeEngine:
    return run_platform(FakeEngine(), **{field.name: getattr(args, field.name) for field in fields(args)})


def plan(engine: FakeEngine) -> dict[str, object]:
    """Everything that Pulumi is asked for."""
    return {
        name: (each.type, each.parent, each.raw, each.request.protect, each.request.retainOnDelete)
        for name, each in engine.registered.items()
    }


def own_resources(path: str) -> set[str]:
    """The container and the image that an option of a service is for."""
    service = path.partition(".")[0]
    return {f"mlflow-postgres-{service}-{what}" for what in ("server", "image")}


def test_every_argument_has_another_value_here() -> None:
    assert set(CHANGED) == set(leaves(EVERYTHING)), "one that is missing may be passed on to nobody"


@pytest.mark.parametrize("path", CHANGED)
def test_every_argument_changes_a_resource(path: str) -> None:
    args = EVERYTHING
    for other, value in BESIDE.get(path, {}).items():
        args = changed(args, other, value)
    value = other_database() if path == "database_server" else CHANGED[path]
    before = planned(args) if path in BESIDE else everything()
    after = planned(changed(args, path, value))
    assert plan(before) != plan(after), "it is passed on to nobody"
    if own := before.of(CONTAINER, IMAGE).keys() & own_resources(path):
        assert {name: plan(before)[name] for name in own} != {name: plan(after).get(name) for name in own}, (
            "it is not passed on to its own service"
        )
    assert set(after.registered) - set(everything().registered) <= {TRIAL}, "what it adds belongs into switched_on()"


@pytest.mark.parametrize("changes", [{}, {"endpoint": None}], ids=["gateway", "no gateway"])
def test_the_ports_that_are_checked_are_those_that_containers_publish(changes: dict[str, Any]) -> None:
    checked = replace(EVERYTHING, **changes).published_ports
    published = {
        (each.role, port["ip"], int(port["external"]), int(port["internal"]))
        for each in everything(**changes).of(CONTAINER).values()
        for port in each.inputs.get("ports", [])
    }
    assert {(each.role, each.address, each.host, each.container) for each in checked} == published, (
        "its range, its clashes and the port on the host would not be checked"
    )


def test_the_optional_services_are_those_of_the_contract() -> None:
    optional = services(everything(**WITH_SETTINGS)) - services(deploy())
    assert optional == set(roles.OPTIONAL), "a broken container would block the `up` that switches it off"


def _couriers(engine: FakeEngine) -> list[Registration]:
    return [each for each in engine.of(CONTAINER).values() if roles.is_courier(each.role)]


def test_doctor_misses_every_service() -> None:
    engine = everything()
    couriers = [FakeContainer(each.inputs["name"], labels=each.labels) for each in _couriers(engine)]
    outputs = {name: str(value) for name, value in plain(engine.exports).items()}
    subject = subject_of(FakeDocker(containers=couriers).connect(), "dev", outputs)
    assert expected(subject) == services(engine)


def test_no_sidecar_can_have_the_role_of_a_service_of_the_platform() -> None:
    own = services(everything(sidecars=(), **WITH_SETTINGS))
    assert own | {roles.IMPORT, roles.RESTORE} == set(OWN_ROLES)

"""The order of an `up`: database, schema, server, front door; and what an upgrade leaves running until it is safe."""

from __future__ import annotations

import pulumi
import pytest

from components.engine import DockerHost
from components.engine.workload import Limits, Task

from .deploy import deploy, endpoint, everything, run_platform, switched_on
from .fake_engine import CONTAINER, FakeEngine

ME = "mlflow-postgres"
DATABASE, JOB, SERVER = f"{ME}-postgres-server", f"{ME}-schema-job", f"{ME}-mlflow-server"


def test_the_schema_waits_for_the_database_the_server_for_the_schema_and_the_gateway_for_the_server() -> None:
    engine = everything()
    assert DATABASE in engine.registered[JOB].waits_for
    assert JOB in engine.registered[SERVER].waits_for, "a server on a schema that is not its own does not start"
    assert SERVER in engine.registered[f"{ME}-gateway-server"].waits_for
    assert SERVER in engine.registered[f"{ME}-housekeeping-server"].waits_for


def test_what_needs_no_database_does_not_wait_for_it() -> None:
    engine = everything()
    waiting = {name for name, each in engine.registered.items() if DATABASE in each.waits_for}
    assert waiting == {JOB, f"{ME}-exporter-server"}, (
        "images are built in the meantime, and whoever runs already gets new secrets at once"
    )


def test_no_input_of_a_container_is_an_output_of_another() -> None:
    """The engine deletes whatever is made of a container before it replaces that container."""
    engine = everything()
    containers = set(engine.of(CONTAINER))
    made_of = {(name, other) for name in containers for other in engine.registered[name].made_of & containers}
    assert made_of == set(), (
        "on an upgrade the old server would be gone before the job has succeeded, and stay gone when it fails"
    )


def test_a_failed_job_stops_the_program_before_the_server_is_touched() -> None:
    engine = FakeEngine(job_ends=(3, "first\nthe schema is from the future\n\n"))
    with pytest.raises(pulumi.RunError, match=r"^schema ended with exit code 3: the schema is from the future$"):
        run_platform(engine, endpoint=endpoint(), sign_in=True)
    assert JOB in engine.registered
    touched = {each.role for each in engine.of(CONTAINER).values()} & {"mlflow", "gateway"}
    assert touched == set(), "the old server must go on"


def test_a_failed_job_without_a_log_is_still_an_error() -> None:
    with pytest.raises(pulumi.RunError, match=r"^schema ended with exit code 137: it printed nothing$"):
        run_platform(FakeEngine(job_ends=(137, "")))


def test_a_preview_shows_every_resource_of_the_update() -> None:
    """In a preview no value of another resource is known, so what is made from within one is not there."""
    preview = run_platform(FakeEngine(preview=True), **switched_on())
    assert set(preview.registered) == set(everything().registered)
    assert JOB in preview.registered[SERVER].waits_for


def test_a_preview_of_a_failed_job_is_no_failure() -> None:
    preview = run_platform(FakeEngine(preview=True, job_ends=(3, "failed")))
    assert set(preview.registered) == set(deploy().registered)


def test_the_job_is_replaced_with_each_version_of_mlflow() -> None:
    engine = deploy()
    assert f"{ME}-mlflow-image" in engine.registered[JOB].made_of, "a new server would meet the old schema"


def test_a_task_that_succeeded_releases_its_dependents(engine: FakeEngine) -> None:
    task = Task(image="image", user=1, limits=Limits(memory_mb=1), networks=["network"])

    def program() -> None:
        done = DockerHost("me", "once").run_once("task", "role", task, pulumi.ResourceOptions())
        pulumi.ComponentResource(
            "t:index:T", "after", opts=pulumi.ResourceOptions(depends_on=done.apply(lambda x: [x]))
        )

    engine.run(program)
    assert engine.registered["after"].waits_for == {"task"}

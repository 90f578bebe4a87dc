"""Programs of other projects: one logs a run to the platform, by its outputs; one uses the components as a library."""

from __future__ import annotations

from mlflow import MlflowClient

from .harness import Deployment, image_tags


def test_a_consumer_logs_its_run_and_leaves_the_platform_alone(stack: Deployment) -> None:
    folder = stack.project / "examples" / "consumer"
    on_it = ("--stack", stack.name)
    stack.pulumi("stack", "init", stack.name, folder=folder)
    stack.pulumi("config", "set", "platform", f"organization/mlflow-postgres/{stack.name}", *on_it, folder=folder)
    before = stack.objects()
    try:
        stack.pulumi("up", "--yes", "--skip-preview", *on_it, folder=folder)
        logs = stack.pulumi("stack", "output", "logs", *on_it, folder=folder)
        assert stack.pulumi("stack", "output", "exit_code", *on_it, folder=folder).strip() == "0", logs
    finally:
        stack.pulumi("destroy", "--yes", "--skip-preview", *on_it, folder=folder)
    assert stack.objects() == before
    left = [
        each.name
        for each in stack.engine.containers.list(all=True, ignore_removed=True)
        if "mlflow-consumer" in str(each.name)
    ]
    left += [tag for tag in image_tags(stack.engine) if stack.name in tag]
    assert not [each for each in left if "mlflow-consumer" in str(each)]
    client = MlflowClient(stack.outputs()["tracking_url"])
    experiment = client.get_experiment_by_name("consumer")
    assert experiment is not None, logs
    runs = client.search_runs([experiment.experiment_id])
    assert [run.data.metrics for run in runs] == [{"answer": 42.0}]
    stack.preview_unchanged()


def test_a_platform_that_others_are_on_says_so_and_does_not_go_half_away(stack: Deployment) -> None:
    before = stack.objects()
    guest = stack.engine.containers.run(
        stack.image("postgres"),
        entrypoint=["sleep", "600"],
        network=stack.outputs()["network_name"],
        detach=True,
    )
    try:
        refused = stack.pulumi("destroy", "--yes", "--skip-preview", "--stack", stack.name, fails=True)
        assert f"{guest.name} is on this stack's network" in refused
        assert f"Mend it with: docker rm --force {guest.name}" in refused
    finally:
        guest.remove(force=True, v=True)
    assert stack.objects() == before
    assert stack.ask()


def test_a_program_that_uses_the_components_is_planned_and_its_open_address_refused(stack: Deployment) -> None:
    folder = stack.project / "examples" / "component"
    on_it = ("--stack", stack.name)
    stack.environment["PYTHONPATH"] = "../.."
    try:
        stack.pulumi("stack", "init", stack.name, folder=folder)
        planned = stack.pulumi("preview", *on_it, folder=folder)
        assert "mlflow-postgres:index:Platform" in planned
        stack.pulumi("config", "set", "address", "0.0.0.0", *on_it, folder=folder)
        refused = stack.pulumi("preview", *on_it, folder=folder, fails=True)
        assert "[address-open] bind_address is '0.0.0.0'" in refused
        assert "Mend it with: bind_address='127.0.0.1'" in refused
    finally:
        del stack.environment["PYTHONPATH"]

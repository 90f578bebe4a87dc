"""Another stack knows the platform by its outputs, joins its network, logs a run, and goes without a trace."""

from __future__ import annotations

from mlflow import MlflowClient

from .harness import Deployment


def test_a_consumer_logs_its_run_and_leaves_the_platform_alone(stack: Deployment) -> None:
    folder = stack.project / "examples" / "consumer"
    on_it = ("--stack", stack.name)
    stack.pulumi("stack", "init", stack.name, folder=folder)
    stack.pulumi("config", "set", "platform", f"organization/mlflow-postgres/{stack.name}", *on_it, folder=folder)
    before = stack.objects()
    try:
        stack.pulumi("up", "--yes", "--skip-preview", *on_it, folder=folder)
        said = stack.pulumi("stack", "output", "said", *on_it, folder=folder)
        assert stack.pulumi("stack", "output", "exit_code", *on_it, folder=folder).strip() == "0", said
    finally:
        stack.pulumi("destroy", "--yes", "--skip-preview", *on_it, folder=folder)
    assert stack.objects() == before
    client = MlflowClient(stack.outputs()["tracking_url"])
    experiment = client.get_experiment_by_name("consumer")
    assert experiment is not None, said
    runs = client.search_runs([experiment.experiment_id])
    assert [run.data.metrics for run in runs] == [{"answer": 42.0}]
    stack.preview_unchanged()

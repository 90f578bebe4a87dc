"""The experiment in the screenshots: runs with curves, parameters and files, and traces."""

from __future__ import annotations

import math

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param

EXPERIMENT = "house prices"
MODELS = {"linear": 0.34, "forest-100": 0.22, "forest-400": 0.19, "boosted": 0.14, "boosted-slow": 0.11}
"""The name of each run, and the value at which its curve ends."""
BEST = "boosted-slow"
REPORT = "report.md"
QUESTION = "What is a house with a garden worth?"
_STEPS = 60


def log(url: str) -> str:
    """Log the experiment to a server, as the user in the environment. Returns its id."""
    client = MlflowClient(url)
    experiment = client.create_experiment(EXPERIMENT)
    for name, end in MODELS.items():
        run = client.create_run(experiment, run_name=name).info.run_id
        curve = [end + math.exp(-step / 12) * 0.6 + 0.008 * math.sin(step * (2 + end)) for step in range(_STEPS)]
        history = [Metric("rmse", value, 1_000 * step, step) for step, value in enumerate(curve)]
        params = [Param("model", name.partition("-")[0]), Param("folds", "5")]
        client.log_batch(run, [*history, Metric("r2", 1 - end, 0, 0)], params)
        client.log_text(run, f"# {name}\n\nrmse after {_STEPS} rounds: {curve[-1]:.3f}\n", REPORT)
        client.set_terminated(run)
    _trace(url, experiment)
    return experiment


def _trace(url: str, experiment: str) -> None:
    mlflow.set_tracking_uri(url)
    mlflow.set_experiment(experiment_id=experiment)
    for question, price in {QUESTION: 412_000, "And without one?": 371_000}.items():
        with mlflow.start_span("answer") as answer:
            answer.set_inputs({"question": question})
            with mlflow.start_span("comparable houses", span_type="RETRIEVER") as found:
                found.set_outputs(["12 Elm Row", "4 Mill Lane"])
            answer.set_outputs({"price": price})
    mlflow.flush_trace_async_logging()

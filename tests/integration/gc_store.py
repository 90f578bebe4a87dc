"""Run inside MLflow's container: fill a store with what housekeeping removes, and with what it must leave alone.

Prints the ids of all of it by name, as JSON.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelOutput, Metric, Param, RunTag
from mlflow.genai.datasets import create_dataset

URI = "http://127.0.0.1:5000"

client = MlflowClient(URI)
ids: dict[str, str] = {}


def run(name: str, experiment: str, **tags: str) -> str:
    """A run with some of everything that belongs to one."""
    made: str = client.create_run(ids[experiment], run_name=name, tags=tags).info.run_id
    ids[name] = made
    history = [Metric("loss", 1 / (step + 1), 1_700_000_000_000 + step, step) for step in range(20)]
    client.log_batch(made, history, [Param("lr", "0.1")], [RunTag("note", name)])
    # Of the same name and digest in every run: one row, which all share.
    data = Dataset("data", "digest", "local", '{"uri": "x"}', schema='{"a": 1}')
    client.log_inputs(made, [DatasetInput(data, [InputTag("mlflow.data.context", name)])])
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "a.txt").write_text(f"an artifact of {name}")
        client.log_artifacts(made, folder, "files")
    client.set_terminated(made)
    return made


def model(name: str, source: str, measured_by: str) -> str:
    """A model that a run has made, and that a run, perhaps another one, has measured."""
    run_id = ids[source]
    made = client.create_logged_model(client.get_run(run_id).info.experiment_id, name, run_id, params={"depth": "3"})
    ids[name] = made.model_id
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "MLmodel").write_text(f"flavors: {{}}\nname: {name}\n")
        client.log_model_artifacts(made.model_id, folder)
    client.finalize_logged_model(made.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(made.model_id, step=0)])
    client.log_metric(ids[measured_by], f"accuracy of {name}", 0.5, model_id=made.model_id)
    return str(made.model_id)


def trace(name: str, experiment: str, of_run: str) -> str:
    mlflow.set_experiment(experiment_id=ids[experiment])
    with mlflow.start_span(name, attributes={"a": 1}) as outer, mlflow.start_span("inner") as inner:
        inner.set_outputs([1, 2.5, None, "ü"])
    mlflow.flush_trace_async_logging()
    mlflow.log_feedback(trace_id=outer.trace_id, name="good", value=True)
    client.link_traces_to_run([outer.trace_id], ids[of_run])
    ids[name] = outer.trace_id
    return str(outer.trace_id)


def registered(name: str, source: str, run_id: str, model_id: str | None = None) -> None:
    client.create_registered_model(name)
    version = client.create_model_version(name, source, run_id, model_id=model_id)
    client.set_registered_model_alias(name, "best", version.version)


def main() -> None:
    mlflow.set_tracking_uri(URI)
    for name in ("live", "gone", "half"):
        ids[name] = client.create_experiment(f"gc-{name}", tags={"note": name})
    run("active", "live")
    run("old", "live")
    run("child of old", "live", **{"mlflow.parentRunId": ids["old"]})
    run("registered", "live")
    run("fresh", "live")
    model("model of old", "old", "active")
    model("old model", "active", "active")
    trace("trace of old", "live", "old")
    # Of what `old` has made, the model stays: it has an age of its own.
    registered("gc-of-a-model", f"models:/{ids['model of old']}", ids["old"], ids["model of old"])
    # As MLflow takes it too, though not as it writes it.
    source = client.get_run(ids["registered"]).info.artifact_uri.replace(":/", ":///", 1)
    registered("gc-of-a-run", f"{source}/files", ids["registered"])

    run("in gone", "gone")
    model("model in gone", "in gone", "in gone")
    trace("trace in gone", "gone", "in gone")
    dataset = create_dataset("gc-questions", experiment_id=[ids["gone"], ids["live"]], tags={"k": "v"})
    dataset.merge_records([{"inputs": {"question": "how?"}, "expectations": {"answer": "so"}}])

    run("in half", "half")
    source = model("model in half", "in half", "in half")
    registered("gc-of-half", f"models:/{source}", ids["in half"], source)

    for name in ("old", "registered", "fresh"):
        client.delete_run(ids[name])
    client.delete_logged_model(ids["old model"])
    for name in ("gone", "half"):
        client.delete_experiment(ids[name])
    print(json.dumps({**ids, "made": str(int(time.time() * 1000))}))


main()

"""Run where MLflow is installed: make a store with something of everything, or say what is in one.

python - make URI PREFIX     fills the store; names begin with the prefix
python - show URI            prints what MLflow's client sees, as JSON
"""

from __future__ import annotations

import base64
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag, ViewType
from mlflow.genai.datasets import create_dataset, search_datasets


def make(uri: str, prefix: str) -> None:
    mlflow.set_tracking_uri(uri)
    client = MlflowClient(uri)
    experiment = client.create_experiment(f"{prefix}-one", tags={"note": "ü 'quoted'\n\t\\N"})
    client.delete_experiment(client.create_experiment(f"{prefix}-deleted"))
    first = client.create_run(experiment, run_name="first", tags={"k": "v"})
    fill(client, first.info.run_id)
    child = client.create_run(experiment, tags={"mlflow.parentRunId": first.info.run_id})
    client.set_terminated(child.info.run_id, "FAILED", end_time=5)
    client.delete_run(client.create_run(experiment, run_name="deleted").info.run_id)
    client.log_metric(client.create_run("0", run_name=f"{prefix} in the first experiment").info.run_id, "m", 1)
    registered(client, f"{prefix}-model", first.info.run_id)
    if uri.startswith("file"):
        traced(experiment)
    else:
        linked(client, prefix, experiment, first.info.run_id)


def fill(client: MlflowClient, run: str) -> None:
    history = [Metric("loss", 1 / (step + 1), 1_700_000_000_000 + step, step) for step in range(200)]
    values = (float("nan"), float("inf"), -0.0, 1e-300, -1e300)
    odd = [Metric("odd", value, 7, step) for step, value in enumerate(values)]
    params = [Param("lr", "0.1"), Param("empty", ""), Param("long", "x" * 6_000)]
    client.log_batch(run, history + odd, params, [RunTag("tag/with slash", "ü")])
    dataset = Dataset("data", "digest", "local", '{"uri": "x"}', schema='{"a": 1}')
    client.log_inputs(run, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "a.txt").write_text("an artifact")
        Path(folder, "deep").mkdir()
        Path(folder, "deep", "b.bin").write_bytes(bytes(range(256)) * 1_000)
        client.log_artifacts(run, folder, "files")
    client.set_terminated(run, "FINISHED", end_time=9)


def registered(client: MlflowClient, name: str, run: str) -> None:
    client.create_registered_model(name, tags={"k": "v"}, description="a model")
    source = f"{client.get_run(run).info.artifact_uri}/files"
    version = client.create_model_version(name, source, run, tags={"t": "1"}, description="the first")
    client.set_registered_model_alias(name, "best", version.version)


def linked(client: MlflowClient, prefix: str, experiment: str, run: str) -> None:
    """What a folder cannot hold: an evaluation dataset of two experiments, and a prompt that is linked to."""
    dataset = create_dataset(f"{prefix}-questions", experiment_id=[experiment, "0"], tags={"k": "v"})
    dataset.merge_records([{"inputs": {"question": "how?"}, "expectations": {"answer": "so"}}])
    prompt = client.register_prompt(f"{prefix}-prompt", "Say {{what}}")
    trace = traced(experiment, f"prompts:/{prefix}-prompt/1")
    client.link_prompt_versions_to_trace([prompt], trace)
    client.link_prompt_version_to_run(run, prompt)


def traced(experiment: str, prompt: str | None = None) -> str:
    mlflow.set_experiment(experiment_id=experiment)
    with mlflow.start_span("outer", attributes={"a": 1}) as outer:
        outer.set_inputs({"question": "how?"})
        with mlflow.start_span("inner") as inner:
            inner.set_outputs([1, 2.5, None, "ü"])
            if prompt:
                mlflow.genai.load_prompt(prompt)
        outer.set_outputs({"answer": "so"})
    mlflow.flush_trace_async_logging()
    mlflow.set_trace_tag(outer.trace_id, "k", "v")
    mlflow.log_feedback(trace_id=outer.trace_id, name="good", value=True, rationale="it is")
    return str(outer.trace_id)


def show(uri: str) -> dict[str, Any]:
    mlflow.set_tracking_uri(uri)
    client = MlflowClient(uri)
    experiments = client.search_experiments(ViewType.ALL)
    ids = [each.experiment_id for each in experiments]
    return {
        "experiments": {
            each.name: [each.lifecycle_stage, each.tags, each.creation_time, each.last_update_time, each.experiment_id]
            for each in experiments
        },
        "locations": {each.name: each.artifact_location for each in experiments},
        "runs": {
            run.info.run_id: shown_run(client, run)
            for run in client.search_runs(ids, run_view_type=ViewType.ALL, max_results=5_000)
        },
        "models": {model.name: shown_model(client, model) for model in client.search_registered_models()},
        "traces": {
            trace.info.trace_id: shown_trace(trace)
            for number in ids
            for trace in mlflow.search_traces(locations=[number], return_type="list")
        },
        **({} if uri.startswith("file") else shown_links(client, experiments)),
    }


def shown_links(client: MlflowClient, experiments: Any) -> dict[str, Any]:
    ids = [each.experiment_id for each in experiments]
    prompts = [each.name for each in client.search_prompts()]
    return {
        "datasets": {
            each.name: sorted(
                [found.name, found.tags, found.digest, found.to_df()[["inputs", "expectations"]].to_dict("records")]
                for found in search_datasets(experiment_ids=[each.experiment_id])
            )
            for each in experiments
        },
        "prompts": {name: client.get_prompt_version(name, 1).template for name in prompts},
        "prompted": {
            name: [
                trace.info.trace_id
                for trace in mlflow.search_traces(
                    locations=ids, filter_string=f"prompt = '{name}/1'", return_type="list"
                )
            ]
            for name in prompts
        },
    }


def shown_run(client: MlflowClient, run: Any) -> dict[str, Any]:
    info, run_id = run.info, run.info.run_id
    return {
        "info": [info.run_name, info.status, info.start_time, info.end_time, info.lifecycle_stage, info.user_id],
        "experiment": client.get_experiment(info.experiment_id).name,
        "params": run.data.params,
        "tags": run.data.tags,
        "latest": {key: repr(value) for key, value in run.data.metrics.items()},
        "history": {
            key: sorted(
                (each.step, each.timestamp, repr(each.value)) for each in client.get_metric_history(run_id, key)
            )
            for key in run.data.metrics
        },
        "inputs": [each.to_dictionary() for each in run.inputs.dataset_inputs],
        "artifacts": artifacts(client, run) if info.lifecycle_stage == "active" else {},
        "uri": info.artifact_uri,
    }


def artifacts(client: MlflowClient, run: Any, path: str | None = None) -> dict[str, str]:
    """Every artifact of a run, with its contents."""
    found: dict[str, str] = {}
    for each in client.list_artifacts(run.info.run_id, path):
        if each.is_dir:
            found |= artifacts(client, run, each.path)
        else:
            with tempfile.TemporaryDirectory() as folder:
                content = Path(client.download_artifacts(run.info.run_id, each.path, folder)).read_bytes()
            found[each.path] = base64.b64encode(content).decode()
    return found


def shown_model(client: MlflowClient, model: Any) -> dict[str, Any]:
    versions = client.search_model_versions(f"name = '{model.name}'")
    return {
        "model": [model.description, model.tags, model.creation_timestamp, model.last_updated_timestamp],
        "aliases": {alias: str(version) for alias, version in model.aliases.items()},
        "versions": [
            [str(each.version), each.run_id, each.description, each.tags, each.status, each.creation_timestamp]
            for each in versions
        ],
        "sources": [each.source for each in versions],
    }


def shown_trace(trace: Any) -> dict[str, Any]:
    def plain(tags: dict[str, str]) -> dict[str, str]:
        return {key: value for key, value in tags.items() if key != "mlflow.artifactLocation"}

    return {
        "info": [trace.info.request_time, trace.info.execution_duration, str(trace.info.state)],
        "previews": [trace.info.request_preview, trace.info.response_preview],
        "tags": plain(trace.info.tags),
        "metadata": trace.info.trace_metadata,
        "spans": [
            [each.name, each.span_id, each.parent_id, each.start_time_ns, each.end_time_ns, each.inputs, each.outputs]
            for each in trace.data.spans
        ],
        "prompts": [each.attributes.get("mlflow.linkedPrompts") for each in trace.data.spans],
        "assessments": [
            [each.name, each.feedback.value, each.rationale, each.create_time_ms] for each in trace.info.assessments
        ],
    }


if __name__ == "__main__":
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    if sys.argv[1] == "make":
        make(*sys.argv[2:])
    else:
        print(json.dumps(show(sys.argv[2]), sort_keys=True))

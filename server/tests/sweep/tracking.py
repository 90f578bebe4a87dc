"""Calls about experiments, runs and models that were logged."""

from __future__ import annotations

from .calls import V2, delete, get, patch, post

DATASET_INPUT = {
    "dataset": {"name": "data", "digest": "abc", "source_type": "local", "source": "{}", "schema": "{}"},
    "tags": [{"key": "mlflow.data.context", "value": "train"}],
}

EXPERIMENTS = [
    post(
        f"{V2}/experiments/create",
        {"name": "sweep{pass}", "tags": [{"key": "a", "value": "b"}]},
        experiment="experiment_id",
    ),
    post(f"{V2}/experiments/create", {"name": "second{pass}"}, second="experiment_id"),
    post(f"{V2}/experiments/create", {"name": "sweep{pass}"}),
    get(f"{V2}/experiments/get", experiment_id="{experiment}"),
    get(f"{V2}/experiments/get-by-name", experiment_name="sweep{pass}"),
    post(f"{V2}/experiments/update", {"experiment_id": "{second}", "new_name": "renamed{pass}"}),
    post(f"{V2}/experiments/set-experiment-tag", {"experiment_id": "{experiment}", "key": "k", "value": "v"}),
    post(
        f"{V2}/experiments/search",
        {
            "max_results": 200,
            "filter": "name LIKE 'sw%' AND tags.k = 'v'",
            "order_by": ["name ASC"],
            "view_type": "ALL",
        },
    ),
    post(f"{V2}/experiments/delete-experiment-tag", {"experiment_id": "{experiment}", "key": "k"}),
    post(f"{V2}/experiments/delete", {"experiment_id": "{second}"}),
    post(f"{V2}/experiments/restore", {"experiment_id": "{second}"}),
]
RUNS = [
    post(
        f"{V2}/runs/create",
        {
            "experiment_id": "{experiment}",
            "user_id": "me",
            "run_name": "first",
            "start_time": 1,
            "tags": [{"key": "t", "value": "v"}],
        },
        run="run.info.run_id",
    ),
    post(
        f"{V2}/runs/create",
        {"experiment_id": "{experiment}", "start_time": 2, "run_name": "other"},
        other="run.info.run_id",
    ),
    post(f"{V2}/runs/log-metric", {"run_id": "{run}", "key": "m", "value": 1.5, "timestamp": 5, "step": 1}),
    post(f"{V2}/runs/log-parameter", {"run_id": "{run}", "key": "p", "value": "1"}),
    post(f"{V2}/runs/log-parameter", {"run_id": "{run}", "key": "p", "value": "2"}),
    post(f"{V2}/runs/set-tag", {"run_id": "{run}", "key": "phase", "value": "train"}),
    post(
        f"{V2}/runs/log-batch",
        {
            "run_id": "{run}",
            "metrics": [{"key": "b", "value": 2.5, "timestamp": 7, "step": 3}],
            "params": [{"key": "bp", "value": "x"}],
            "tags": [{"key": "bt", "value": "y"}],
        },
    ),
    post(f"{V2}/runs/log-inputs", {"run_id": "{run}", "datasets": [DATASET_INPUT]}),
    post(f"{V2}/experiments/search-datasets", {"experiment_ids": ["{experiment}"]}),
    post("/ajax-api/2.0/mlflow/experiments/search-datasets", {"experiment_ids": ["{experiment}"]}),
    get(f"{V2}/runs/get", run_id="{run}"),
    post(
        f"{V2}/runs/search",
        {
            "experiment_ids": ["{experiment}"],
            "filter": "metrics.m > 1 AND params.p = '1' AND tags.phase LIKE 't%'",
            "order_by": ["metrics.m DESC"],
            "max_results": 200,
            "run_view_type": "ALL",
        },
    ),
    post(f"{V2}/runs/search", {"experiment_ids": ["{experiment}"], "filter": "dataset.name = 'data'"}),
    post(f"{V2}/runs/search", {"experiment_ids": ["{experiment}"], "filter": "attributes.run_name ILIKE 'FIR%'"}),
    get(f"{V2}/metrics/get-history", run_id="{run}", metric_key="m", max_results="200"),
    get(
        f"{V2}/metrics/get-history-bulk-interval",
        run_ids="{run}",
        metric_key="m",
        start_step="0",
        end_step="9",
        max_results="200",
    ),
    get("/ajax-api/2.0/mlflow/metrics/get-history-bulk", run_id="{run}", metric_key="m", max_results="200"),
    get(f"{V2}/artifacts/list", run_id="{run}", path="x"),
    post(f"{V2}/runs/update", {"run_id": "{run}", "status": "FINISHED", "end_time": 99, "run_name": "done"}),
    post(f"{V2}/runs/delete-tag", {"run_id": "{run}", "key": "phase"}),
    post(f"{V2}/runs/delete", {"run_id": "{other}"}),
    post(f"{V2}/runs/set-tag", {"run_id": "{other}", "key": "late", "value": "x"}),
    post(f"{V2}/runs/restore", {"run_id": "{other}"}),
]
MODELS = [
    post(
        f"{V2}/logged-models",
        {
            "experiment_id": "{experiment}",
            "name": "logged",
            "model_type": "Agent",
            "source_run_id": "{run}",
            "params": [{"key": "p", "value": "1"}],
            "tags": [{"key": "t", "value": "v"}],
        },
        model="model.info.model_id",
    ),
    patch(f"{V2}/logged-models/{{model}}", {"model_id": "{model}", "status": "LOGGED_MODEL_READY"}),
    get(f"{V2}/logged-models/{{model}}"),
    patch(f"{V2}/logged-models/{{model}}/tags", {"tags": [{"key": "more", "value": "x"}]}),
    post(f"{V2}/logged-models/{{model}}/params", {"model_id": "{model}", "params": [{"key": "q", "value": "2"}]}),
    post(
        f"{V2}/runs/log-metric",
        {"run_id": "{run}", "key": "mm", "value": 1.0, "timestamp": 5, "step": 1, "model_id": "{model}"},
    ),
    post(f"{V2}/runs/outputs", {"run_id": "{run}", "models": [{"model_id": "{model}", "step": 1}]}),
    post(
        f"{V2}/logged-models/search",
        {
            "experiment_ids": ["{experiment}"],
            "filter": "params.p = '1' AND metrics.mm > 0",
            "max_results": 200,
            "order_by": [{"field_name": "metrics.mm", "ascending": False}],
        },
    ),
    delete(f"{V2}/logged-models/{{model}}/tags/more"),
    get(f"{V2}/logged-models/{{model}}/artifacts/directories", artifact_directory_path="x"),
    delete(f"{V2}/logged-models/{{model}}"),
]

"""A training job: it logs a run to the tracking server at MLFLOW_TRACKING_URI."""

import mlflow

mlflow.set_experiment("consumer")
with mlflow.start_run() as run:
    mlflow.log_param("from", "another stack")
    mlflow.log_metric("answer", 42)
print(f"logged {run.info.run_id}")

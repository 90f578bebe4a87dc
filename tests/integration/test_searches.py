"""The server of a stack, and a client in its container, use the faster store.

server/tests compares its answers and rows with MLflow's own.
"""

from __future__ import annotations

import json
import urllib.request

from .harness import Deployment
from .limits import REQUEST


def test_the_server_answers_a_search_with_the_json_of_the_faster_store(stack: Deployment) -> None:
    asked = json.dumps({"experiment_ids": ["0"]}).encode()
    address = f"{stack.outputs()['tracking_url']}/api/2.0/mlflow/runs"
    headers = {"Content-Type": "application/json"}
    run = urllib.request.Request(f"{address}/create", b'{"experiment_id": "0", "start_time": 1}', headers)
    with urllib.request.urlopen(run, timeout=REQUEST) as answer:
        run_id = json.load(answer)["run"]["info"]["run_id"]
    with urllib.request.urlopen(urllib.request.Request(f"{address}/search", asked, headers), timeout=REQUEST) as answer:
        body = answer.read()
    assert run_id in [each["info"]["run_id"] for each in json.loads(body)["runs"]]
    assert b"\n" not in body, "MLflow's own JSON has lines: the plug-in is not in the server"


def test_a_client_in_the_container_gets_the_store_that_it_gets_without_us(stack: Deployment) -> None:
    """It says no place for artifacts: MLflow's own is then the server's, or a folder beside it."""
    script = (
        "import os; from mlflow.tracking import _get_store; store = _get_store(os.environ['MLFLOW_BACKEND_STORE_URI']);"
        "print(store.artifact_root_uri, store.search_runs.__self__._search_runs.__module__)"
    )
    root, module = stack.execute("mlflow", "python", "-c", script).split()[-2:]
    assert root.endswith("/mlruns") or root.startswith("mlflow-artifacts:")
    assert module.startswith("mlflow_postgres."), "the plug-in is not the one that MLflow asks"

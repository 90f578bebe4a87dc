"""The server of a stack answers with our application, and has our stores. A client in its container has MLflow's.

server/tests compares answers and rows with MLflow's own.
"""

from __future__ import annotations

import json
import urllib.request

from .harness import Deployment
from .limits import REQUEST


def test_our_application_answers_a_search(stack: Deployment) -> None:
    asked = json.dumps({"experiment_ids": ["0"]}).encode()
    address = f"{stack.outputs()['tracking_url']}/api/2.0/mlflow/runs"
    headers = {"Content-Type": "application/json"}
    run = urllib.request.Request(f"{address}/create", b'{"experiment_id": "0", "start_time": 1}', headers)
    with urllib.request.urlopen(run, timeout=REQUEST) as answer:
        run_id = json.load(answer)["run"]["info"]["run_id"]
    with urllib.request.urlopen(urllib.request.Request(f"{address}/search", asked, headers), timeout=REQUEST) as answer:
        body = answer.read()
    assert run_id in [each["info"]["run_id"] for each in json.loads(body)["runs"]]
    assert body.startswith(b'{"runs"'), "MLflow begins with a line of its own: our application is not in the server"


def test_the_server_has_our_stores_and_a_client_in_the_container_has_mlflows(stack: Deployment) -> None:
    """A client says no place for artifacts: MLflow's own is then the server's, or a folder beside it."""
    script = (
        "import os; from mlflow.server import handlers; from mlflow.tracking import _get_store;"
        "uri = os.environ['MLFLOW_BACKEND_STORE_URI']; client = _get_store(uri);"
        "stores = handlers._tracking_store_registry, handlers._model_registry_store_registry;"
        "made = stores[0].get_store(uri, 'mlflow-artifacts:/'), stores[1].get_store(uri, uri), client;"
        "print(client.artifact_root_uri, *(type(each).__module__ for each in made))"
    )
    root, tracking, registry, client = stack.execute("mlflow", "python", "-c", script).split()[-4:]
    assert root.endswith("/mlruns") or root.startswith("mlflow-artifacts:")
    assert tracking == registry == "mlflow_postgres.database.stores"
    assert client.startswith("mlflow.store.")

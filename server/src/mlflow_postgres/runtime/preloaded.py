"""What every worker has in memory before it is forked; see `forked_workers.py`."""

import gc

# Uvicorn takes these two when they are there. Without them every request waits 40 ms for a delayed acknowledgement.
import httptools  # noqa: F401
import mlflow.server.fastapi_app
import mlflow.store.model_registry.sqlalchemy_store
import mlflow.store.tracking.sqlalchemy_store  # noqa: F401  # the workers are forked with it loaded
import uvloop  # noqa: F401

from ..application import administrators, idle_middleware, request_json, sign_in_headers, wsgi_responses
from ..database import store

# Before MLflow's sign-in, which keeps what it has imported, asks for its users in a way of its own.
store.install()
administrators.install()
request_json.install()
sign_in_headers.install()
idle_middleware.install()
wsgi_responses.install()

# A collection would write into every page of these objects, and each worker would have a copy of its own.
gc.collect()
gc.freeze()

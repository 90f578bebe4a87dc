"""Imports the modules that all workers share. Workers are forked after this import (`forked_workers.py`)."""

import gc

# Uvicorn uses httptools and uvloop if they are installed. Without them every request waits 40 ms for a delayed ACK.
import httptools  # noqa: F401  # only to be loaded before the fork
import mlflow
import mlflow.server.fastapi_app
import mlflow.store.model_registry.sqlalchemy_store
import mlflow.store.tracking.sqlalchemy_store
import uvloop  # noqa: F401  # only to be loaded before the fork

from ..application import idle_middleware, request_json, sign_in_headers, wsgi_responses
from ..database import store
from ..rest import compared

# Before MLflow's sign-in is imported: it keeps references to the functions that are replaced here.
store.install()
request_json.install()
sign_in_headers.install()
idle_middleware.install()
wsgi_responses.install()

if mlflow.__version__ in compared.VERSIONS:
    # Other versions may lack what these import.
    from ..rest import application, sign_in  # noqa: F401  # only to be loaded before the fork

# Otherwise garbage collection writes into the pages of these objects, and each worker gets its own copy of them.
gc.collect()
gc.freeze()

"""Imports the modules that all workers share. Workers are forked after this import (`forked_workers.py`)."""

import gc

# Uvicorn uses httptools and uvloop if they are installed. Without them every request waits 40 ms for a delayed ACK.
import httptools  # noqa: F401  # only to be loaded before the fork
import mlflow
import mlflow.server.fastapi_app
import uvloop  # noqa: F401  # only to be loaded before the fork

from ..application import request_json, sign_in_headers
from ..database import stores  # noqa: F401  # as above
from ..rest import compared
from . import workers  # noqa: F401  # as above

# Before MLflow's sign-in is imported, which registers its own functions at the Flask application.
request_json.install()
sign_in_headers.install()

if mlflow.__version__ in compared.VERSIONS:
    # Other versions may lack what these import.
    from ..rest import application, sign_in  # noqa: F401  # only to be loaded before the fork

# Otherwise garbage collection writes into the pages of these objects, and each worker gets its own copy of them.
gc.collect()
gc.freeze()

"""What every worker has in memory before it is forked; see `forked_workers.py`."""

import gc

import admin_shortcut  # type: ignore[import-not-found]  # it lies beside this one in the image

# Uvicorn takes these two when they are there. Without them every request waits 40 ms for a delayed acknowledgement.
import httptools  # type: ignore[import-not-found]  # noqa: F401  # only the image has it
import idle_middleware  # type: ignore[import-not-found]  # it lies beside this one there
import mlflow.server.fastapi_app
import mlflow.store.model_registry.sqlalchemy_store
import mlflow.store.tracking.sqlalchemy_store  # noqa: F401  # the workers are forked with it loaded
import request_json  # type: ignore[import-not-found]  # it lies beside this one there
import sign_in_headers  # type: ignore[import-not-found]  # it lies beside this one there
import store  # type: ignore[import-not-found]  # it lies beside this one there
import uvloop  # type: ignore[import-not-found]  # noqa: F401  # only the image has it
import whole_answers  # type: ignore[import-not-found]  # it lies beside this one there

# Before MLflow's sign-in, which keeps what it has imported, asks for its users in a way of its own.
store.install()
admin_shortcut.install()
request_json.install()
sign_in_headers.install()
idle_middleware.install()
whole_answers.install()

# A collection would write into every page of these objects, and each worker would have a copy of its own.
gc.collect()
gc.freeze()

"""MLflow's own PostgreSQL store, asked in ways that the indexes of `schema/tuning.py` serve, and answering sooner.

A plug-in by MLflow's rules (entry point `mlflow.tracking_store`, scheme `postgresql`). What it changes are a few
functions of MLflow's; each gives what MLflow's own gives, and hands everything that it does not know over to it.
"""

from __future__ import annotations

from typing import Any


def tracking_store(store_uri: str, artifact_uri: str) -> Any:
    """The store that MLflow itself would make for this address, made faster. Called once in each worker."""
    from mlflow.server.handlers import TrackingStoreRegistryWrapper

    from . import details, filters, pages, replies

    for each in (details, filters, pages, replies):
        each.install()
    make: Any = TrackingStoreRegistryWrapper._get_sqlalchemy_store
    return make(store_uri, artifact_uri)

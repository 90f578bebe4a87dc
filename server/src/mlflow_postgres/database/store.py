"""The stores that MLflow makes for an address of PostgreSQL, by its entry points for stores.

They are subclasses of MLflow's own (`stores.py`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as TrackingStore

# MLflow imports this module while it is imported itself, so nothing of MLflow is imported at the top.


def tracking_store(store_uri: str, artifact_uri: str | None = None) -> TrackingStore:
    """For the entry point `mlflow.tracking_store`. MLflow calls it one at a time.

    The server says where artifacts go. A client such as `mlflow gc` does not, and gets MLflow's own store.
    """
    if artifact_uri is None:
        from mlflow.tracking._tracking_service import utils

        own: TrackingStore = utils._get_sqlalchemy_store(store_uri, None)
        return own
    if _has_other_stores():
        from mlflow.server.handlers import TrackingStoreRegistryWrapper as Wrapper

        its: TrackingStore = Wrapper._get_sqlalchemy_store(store_uri, artifact_uri)
        return its
    from .stores import Tracking

    return Tracking(store_uri, artifact_uri)


def registry_store(store_uri: str) -> RegistryStore:
    """For the entry point `mlflow.model_registry_store`."""
    if _has_other_stores():
        from mlflow.server.handlers import ModelRegistryStoreRegistryWrapper as Wrapper

        own: RegistryStore = Wrapper._get_sqlalchemy_store(store_uri)
        return own
    from .stores import Registry

    return Registry(store_uri)


def _has_other_stores() -> bool:
    """Whether MLflow has classes of their own for its settings. This project sets neither of them."""
    has_replica = "_MLFLOW_SERVER_READ_REPLICA_BACKEND_STORE" in os.environ
    return has_replica or os.environ.get("MLFLOW_ENABLE_WORKSPACES", "false").lower() in ("true", "1")

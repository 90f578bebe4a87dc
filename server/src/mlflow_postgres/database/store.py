"""MLflow's own PostgreSQL store, asked in ways that the indexes of `migration/tuning.py` serve, and answering sooner.

A plug-in by MLflow's rules (entry point `mlflow.tracking_store`, scheme `postgresql`). What it changes are a few
functions of MLflow's; each gives what MLflow's own gives, and hands everything that it does not know over to it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

COMPARED = {"3.6.0", "3.17.2"}
"""Versions of MLflow whose every answer has been found to be the same with and without this. No other is changed."""

WRITTEN = {"3.17.2"}
"""Those whose every answer over HTTP and every logged row has been found to be the same, too."""


def tracking_store(store_uri: str, artifact_uri: str | None = None) -> SqlAlchemyStore:
    """The store that MLflow itself would make for this address, made faster. MLflow calls it one at a time."""
    # MLflow imports this module while it is imported itself.
    from mlflow.server.handlers import TrackingStoreRegistryWrapper
    from mlflow.tracking._tracking_service import utils

    install()
    # There are two that ask for a store, each with a way of its own to make one: the server, which always says where
    # artifacts go, and a client such as `mlflow gc`, for which MLflow has a place of its own when nobody says one.
    maker = utils if artifact_uri is None else TrackingStoreRegistryWrapper
    make: Callable[[str, str | None], SqlAlchemyStore] = maker._get_sqlalchemy_store
    return make(store_uri, artifact_uri)


@functools.cache
def install() -> None:
    """Once, though several may ask in a worker: what is changed twice over asks the database twice over."""
    import mlflow  # as above

    if mlflow.__version__ in COMPARED:
        for module in modules(written=mlflow.__version__ in WRITTEN):
            module.install()


def modules(*, written: bool) -> list[ModuleType]:
    """What changes MLflow's functions; `written` adds what changes its responses over HTTP and the rows it logs."""
    # MLflow imports this module while it is imported itself, and these use MLflow.
    from . import (
        batches,
        filters,
        merges,
        metric_order,
        responses,
        run_data,
        run_json,
        search_plans,
        sessions,
        statements,
        trace_reads,
        trace_search,
    )

    always = [run_data, filters, merges, metric_order, search_plans, responses, statements]
    return [*always, batches, trace_reads, sessions, run_json, trace_search] if written else always

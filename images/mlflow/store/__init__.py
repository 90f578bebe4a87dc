"""MLflow's own PostgreSQL store, asked in ways that the indexes of `schema/tuning.py` serve, and answering sooner.

A plug-in by MLflow's rules (entry point `mlflow.tracking_store`, scheme `postgresql`). What it changes are a few
functions of MLflow's; each gives what MLflow's own gives, and hands everything that it does not know over to it.
"""

from __future__ import annotations

import functools
from typing import Any

COMPARED = {"3.6.0", "3.17.2"}
"""Versions of MLflow whose every answer has been found to be the same with and without this. No other is changed."""

WRITTEN = {"3.17.2"}
"""Those whose every answer over HTTP and every logged row has been found to be the same, too."""


def tracking_store(store_uri: str, artifact_uri: str | None = None) -> Any:
    """The store that MLflow itself would make for this address, made faster. MLflow calls it one at a time."""
    from mlflow.server.handlers import TrackingStoreRegistryWrapper
    from mlflow.tracking._tracking_service import utils

    install()
    # There are two that ask for a store, each with a way of its own to make one: the server, which always says where
    # artifacts go, and a client such as `mlflow gc`, for which MLflow has a place of its own when nobody says one.
    maker: Any = utils if artifact_uri is None else TrackingStoreRegistryWrapper
    return maker._get_sqlalchemy_store(store_uri, artifact_uri)


@functools.cache
def install() -> None:
    """Once, though several may ask in a worker: what is changed twice over asks the database twice over."""
    import mlflow

    if mlflow.__version__ not in COMPARED:
        return
    from . import (
        batches,
        details,
        filters,
        merges,
        opened,
        pages,
        plans,
        replies,
        runs,
        sessions,
        statements,
        texts,
        traces,
    )

    whole = (batches, opened, runs, sessions, texts, traces) if mlflow.__version__ in WRITTEN else ()
    for each in (details, filters, merges, pages, plans, replies, statements, *whole):
        each.install()

"""The deleted items that are due for removal, and those that are kept because a registered model uses their files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import LiteralString

import psycopg

Connection = psycopg.Connection

# Items of a kind in one round. A schema job waits until the round has ended.
LIMIT = 1000

_EXPERIMENT_IS_DUE: LiteralString = "(e.lifecycle_stage = 'deleted' AND e.last_update_time <= %(before)s)"


@dataclass(frozen=True)
class Kind:
    """A kind of item. Items are removed one at a time."""

    name: str
    table: str
    key: str
    """The column of its id."""
    due: LiteralString
    """A query for the items that were deleted before %(before)s, with the columns id, address and used_by."""
    links: Mapping[str, tuple[str, ...]]
    """Its type names in tables that link items by type and id, without a foreign key."""
    tables: tuple[str, ...] = ()
    """Tables that have its key column without a foreign key."""
    folder: str = ""
    """The folder that MLflow keeps all items of this kind in; empty where ids are unique among all kinds."""


@dataclass(frozen=True)
class Item:
    """An item that is due."""

    id: str
    address: str | None
    used_by: str | None
    """The version of a registered model that uses its files. The item is kept as long as that version exists."""


# Every part of the artifact URIs of model versions. Some are ids of runs and models. Only files of an item whose URI
# contains its id are removed, so this finds every use. A deleted version keeps its row, with another stage.
_USED: LiteralString = """
WITH used AS MATERIALIZED (
  SELECT part, min(name || ' version ' || version) AS used_by
    FROM model_versions, LATERAL (VALUES (source), (storage_location)) AS at (place),
         unnest(string_to_array(place, '/')) AS part
   WHERE current_stage IS DISTINCT FROM 'Deleted_Internal'
   GROUP BY part
)
"""
# Older versions of MLflow did not set deleted_time. Such a run is removed only with its experiment.
_RUNS: LiteralString = f"""
{_USED}
SELECT r.run_uuid AS id, r.artifact_uri AS address, used_by
  FROM runs r JOIN experiments e USING (experiment_id) LEFT JOIN used ON part = r.run_uuid
 WHERE r.lifecycle_stage = 'deleted'
   AND (r.deleted_time <= %(before)s OR (r.deleted_time IS NULL AND {_EXPERIMENT_IS_DUE}))
"""
_MODELS: LiteralString = f"""
{_USED}
SELECT m.model_id AS id, m.artifact_location AS address, used_by
  FROM logged_models m JOIN experiments e USING (experiment_id) LEFT JOIN used ON part = m.model_id
 WHERE (m.lifecycle_stage = 'deleted' AND m.last_updated_timestamp_ms <= %(before)s) OR {_EXPERIMENT_IS_DUE}
"""
_TRACES: LiteralString = f"""
SELECT t.request_id AS id, tag.value AS address, NULL AS used_by
  FROM trace_info t JOIN experiments e USING (experiment_id)
  LEFT JOIN trace_tags tag ON tag.request_id = t.request_id AND tag.key = 'mlflow.artifactLocation'
 WHERE {_EXPERIMENT_IS_DUE}
"""
# Must be the last kind: an experiment stays while it contains anything.
_EXPERIMENTS: LiteralString = f"""
SELECT e.experiment_id::text AS id, e.artifact_location AS address, NULL AS used_by
  FROM experiments e
 WHERE {_EXPERIMENT_IS_DUE}
   AND NOT EXISTS (SELECT FROM runs r WHERE r.experiment_id = e.experiment_id)
   AND NOT EXISTS (SELECT FROM logged_models m WHERE m.experiment_id = e.experiment_id)
   AND NOT EXISTS (SELECT FROM trace_info t WHERE t.experiment_id = e.experiment_id)
"""

_ROLLUPS = (
    "sql_trace_metric_daily_rollups",
    "sql_span_cost_daily_rollups",
    "sql_assessment_daily_rollups",
    "sql_trace_rollup_rebuild_queue",
)

_RUN_LINKS = {"inputs": ("RUN", "RUN_INPUT", "RUN_OUTPUT"), "entity_associations": ("run",)}
_MODEL_LINKS = {"inputs": ("MODEL_INPUT", "MODEL_OUTPUT"), "entity_associations": ("model",)}

KINDS = (
    Kind("run", "runs", "run_uuid", _RUNS, _RUN_LINKS),
    Kind("model", "logged_models", "model_id", _MODELS, _MODEL_LINKS),
    # A client chooses the id of a trace and can change its artifact location: both may be those of another run.
    Kind("trace", "trace_info", "request_id", _TRACES, {"entity_associations": ("trace",)}, folder="traces"),
    Kind(
        "experiment", "experiments", "experiment_id", _EXPERIMENTS, {"entity_associations": ("experiment",)}, _ROLLUPS
    ),
)


def due(connection: Connection, kind: Kind, before: int, after: str) -> list[Item]:
    """The items that were deleted before `before`, in milliseconds of Unix time, and that nothing uses, ordered by id.

    Only those with an id above `after`: otherwise items that cannot be removed would fill every round.
    """
    query = f"SELECT * FROM ({kind.due}) AS found WHERE used_by IS NULL AND id > %(after)s ORDER BY id LIMIT {LIMIT}"
    return [Item(*row) for row in connection.execute(query.encode(), {"before": before, "after": after})]


def used(connection: Connection, kind: Kind, before: int) -> list[Item]:
    """The items that were deleted before `before` and whose files registered models use."""
    query = f"SELECT * FROM ({kind.due}) AS found WHERE used_by IS NOT NULL ORDER BY id LIMIT {LIMIT}"
    return [Item(*row) for row in connection.execute(query.encode(), {"before": before})]


def still_due(connection: Connection, kind: Kind, before: int, item: Item) -> bool:
    """Whether an item is still due. Locks its row until the transaction ends."""
    # The lock is a statement of its own: the snapshot of the next one then includes what others committed meanwhile.
    lock = f"SELECT FROM {kind.table} WHERE {kind.key} = %(id)s FOR UPDATE"
    if connection.execute(lock.encode(), {"id": item.id}).rowcount != 1:
        return False
    query = f"SELECT FROM ({kind.due}) AS found WHERE id = %(id)s AND used_by IS NULL"
    return connection.execute(query.encode(), {"before": before, "id": item.id}).rowcount == 1

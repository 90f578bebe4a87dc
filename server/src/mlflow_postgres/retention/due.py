"""What is due to be removed, and what is not because a registered model is made of its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import LiteralString

import psycopg

Connection = psycopg.Connection

# Seconds of a round are seconds that a schema job waits: what is more than this is left to the next one.
MOST = 1000

_EXPERIMENT_IS_DUE: LiteralString = "(e.lifecycle_stage = 'deleted' AND e.last_update_time <= %(before)s)"


@dataclass(frozen=True)
class Kind:
    """A kind of thing that is removed, each by itself."""

    name: str
    table: str
    key: str
    """The column with its id."""
    due: LiteralString
    """A query with the columns id, address and used_by, of those that are due before %(before)s."""
    links: Mapping[str, tuple[str, ...]]
    """What it is called, in tables that name it without a foreign key."""
    tables: tuple[str, ...] = ()
    """Tables with its key, but without a foreign key."""
    folder: str = ""
    """Name of the folder in which MLflow has one for each; none where its own id is that of nothing else."""


@dataclass(frozen=True)
class Thing:
    """One that is due."""

    id: str
    address: str | None
    used_by: str | None
    """The version of a registered model that is made of its files; it is kept as long as there is one."""


# What the versions of registered models are made of: every part of their addresses, ids among them. What is removed has
# its id in its address, or its files stay. A version that is deleted keeps its row.
_USED: LiteralString = """
WITH used AS MATERIALIZED (
  SELECT part, min(name || ' version ' || version) AS used_by
    FROM model_versions, LATERAL (VALUES (source), (storage_location)) AS at (place),
         unnest(string_to_array(place, '/')) AS part
   WHERE current_stage IS DISTINCT FROM 'Deleted_Internal'
   GROUP BY part
)
"""
# Deleted before MLflow wrote down when: it goes with its experiment, and otherwise stays, for nobody knows its age.
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
# Last: one in which something is kept, or was deleted later than itself, stays.
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
    # Whoever logs a trace chooses its id and may change its address: either may be those of somebody else's run.
    Kind("trace", "trace_info", "request_id", _TRACES, {"entity_associations": ("trace",)}, folder="traces"),
    Kind(
        "experiment", "experiments", "experiment_id", _EXPERIMENTS, {"entity_associations": ("experiment",)}, _ROLLUPS
    ),
)


def due(connection: Connection, kind: Kind, before: int, after: str) -> list[Thing]:
    """Those that were deleted before a moment, in milliseconds of Unix time, and that nobody uses, in the order of ids.

    They begin after an id: what could not be removed does not stand before all others for ever.
    """
    query = f"SELECT * FROM ({kind.due}) AS found WHERE used_by IS NULL AND id > %(after)s ORDER BY id LIMIT {MOST}"
    return [Thing(*row) for row in connection.execute(query.encode(), {"before": before, "after": after})]


def used(connection: Connection, kind: Kind, before: int) -> list[Thing]:
    """Those that were deleted before a moment, and of whose files registered models are made."""
    query = f"SELECT * FROM ({kind.due}) AS found WHERE used_by IS NOT NULL ORDER BY id LIMIT {MOST}"
    return [Thing(*row) for row in connection.execute(query.encode(), {"before": before})]


def still_due(connection: Connection, kind: Kind, before: int, thing: Thing) -> bool:
    """Whether it is due even now, and nobody else changes it until the transaction ends."""
    # By itself, not as a part of the next one: that looks at what is there once the lock is had.
    held = f"SELECT FROM {kind.table} WHERE {kind.key} = %(id)s FOR UPDATE"
    if connection.execute(held.encode(), {"id": thing.id}).rowcount != 1:
        return False
    query = f"SELECT FROM ({kind.due}) AS found WHERE id = %(id)s AND used_by IS NULL"
    return connection.execute(query.encode(), {"before": before, "id": thing.id}).rowcount == 1

"""What a run logs: log-batch, and log-metric, log-parameter and set-tag as batches of one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final, LiteralString, NamedTuple

from mlflow.utils import validation

from . import answers, arrays
from .arguments import Arguments, Integer, Milliseconds, Number, OfRun, RunId, Tag, check_key
from .database import Database
from .errors import NotServed

# Nothing is written to a run that is not active, or if a parameter would get another value.
# - A parameter that another client logs meanwhile violates the primary key, which undoes the whole statement.
# - 0.0 and -0.0 are one value to PostgreSQL. The first of them stays, so metrics keep the order of the batch.
# - The latest value is the one with the greatest step, then timestamp, then value.
# - Rows are written in the order of their keys, or two batches could wait for each other.
_LOG: Final[LiteralString] = """
WITH run AS (
  SELECT run_uuid FROM runs
   WHERE run_uuid = %(run_id)s::varchar AND lifecycle_stage = 'active' AND NOT EXISTS (
     SELECT FROM unnest(%(param_keys)s::varchar[], %(param_values)s::varchar[]) AS new (key, value)
       JOIN params AS old ON old.run_uuid = %(run_id)s::varchar AND old.key = new.key
      WHERE old.value <> new.value)
), new_params AS (
  INSERT INTO params (run_uuid, key, value)
  SELECT run_uuid, key, value
    FROM unnest(%(param_keys)s::varchar[], %(param_values)s::varchar[]) AS new (key, value), run
   WHERE NOT EXISTS (SELECT FROM params AS old WHERE old.run_uuid = run.run_uuid AND old.key = new.key)
   ORDER BY key
), new_metrics AS (
  INSERT INTO metrics (run_uuid, key, value, timestamp, step, is_nan)
  SELECT run_uuid, key, value, timestamp, step, is_nan
    FROM unnest(%(metric_keys)s::varchar[], %(metric_values)s::float8[], %(metric_timestamps)s::bigint[],
                %(metric_steps)s::bigint[], %(metric_is_nan)s::boolean[]) WITH ORDINALITY
         AS new (key, value, timestamp, step, is_nan, place), run
   ORDER BY key, place ON CONFLICT DO NOTHING
), new_latest AS (
  INSERT INTO latest_metrics AS old (run_uuid, key, value, timestamp, step, is_nan)
  SELECT run_uuid, key, value, timestamp, step, is_nan
    FROM unnest(%(latest_keys)s::varchar[], %(latest_values)s::float8[], %(latest_timestamps)s::bigint[],
                %(latest_steps)s::bigint[], %(latest_is_nan)s::boolean[])
         AS new (key, value, timestamp, step, is_nan), run
   ORDER BY key ON CONFLICT (key, run_uuid) DO UPDATE
     SET value = excluded.value, timestamp = excluded.timestamp, step = excluded.step, is_nan = excluded.is_nan
   WHERE (excluded.step, excluded.timestamp, excluded.value) > (old.step, old.timestamp, old.value)
), new_tags AS (
  INSERT INTO tags (run_uuid, key, value)
  SELECT run_uuid, key, value
    FROM unnest(%(tag_keys)s::varchar[], %(tag_values)s::varchar[]) AS new (key, value), run
   ORDER BY key ON CONFLICT (key, run_uuid) DO UPDATE SET value = excluded.value
)
SELECT FROM run
"""

_GREATEST = 1.7976931348623157e308
"""What MLflow stores for infinity."""


class _Row(NamedTuple):
    """Of `metrics`."""

    key: str
    value: float
    timestamp: int
    step: int
    is_nan: bool


class Metric(Arguments):
    key: str
    value: Number
    timestamp: Milliseconds
    step: Integer = 0
    run_id: str = ""
    """MLflow's clients send it. It has no effect."""


class Param(Arguments):
    key: str
    value: str = ""


class LogBatch(Arguments):
    run_id: RunId
    metrics: Sequence[Metric] = ()
    params: Sequence[Param] = ()
    tags: Sequence[Tag] = ()


class LogMetric(OfRun):
    key: str
    value: Number
    timestamp: Milliseconds
    step: Integer = 0


class LogParam(OfRun):
    key: str
    value: str = ""


class SetTag(OfRun):
    key: str
    value: str = ""


async def log_batch(database: Database, arguments: LogBatch) -> bytes:
    return await _log(database, arguments.run_id, arguments.metrics, arguments.params, arguments.tags)


async def log_metric(database: Database, arguments: LogMetric) -> bytes:
    return await _log(database, arguments.run_id, [arguments], [], [])


async def log_parameter(database: Database, arguments: LogParam) -> bytes:
    return await _log(database, arguments.run_id, [], [arguments], [])


async def set_tag(database: Database, arguments: SetTag) -> bytes:
    return await _log(database, arguments.run_id, [], [], [arguments])


async def _log(
    database: Database,
    run_id: str,
    metrics: Sequence[Metric | LogMetric],
    params: Sequence[Param | LogParam],
    tags: Sequence[Tag | SetTag],
) -> bytes:
    _check(metrics, params, tags)
    rows = [_row(metric) for metric in metrics]
    param_values = {param.key: param.value for param in params}
    if len(param_values) != len(params):
        raise NotServed
    tag_values = {tag.key: tag.value for tag in tags}
    values = {
        "run_id": run_id,
        "param_keys": arrays.of_texts(param_values),
        "param_values": arrays.of_texts(param_values.values()),
        "tag_keys": arrays.of_texts(tag_values),
        "tag_values": arrays.of_texts(tag_values.values()),
        **_columns("metric", rows),
        **_columns("latest", latest(rows)),
    }
    await database.write(_LOG, values)
    return answers.EMPTY


def _check(
    metrics: Sequence[Metric | LogMetric], params: Sequence[Param | LogParam], tags: Sequence[Tag | SetTag]
) -> None:
    """Raise `NotServed` for what MLflow rejects, cuts, or writes into another table as well."""
    most = validation.MAX_PARAMS_TAGS_PER_BATCH
    total = len(metrics) + len(params) + len(tags)
    if len(params) > most or len(tags) > most or total > validation.MAX_ENTITIES_PER_BATCH:
        raise NotServed
    for each in (*metrics, *params, *tags):
        check_key(each.key)
    if any(len(param.value) > validation.MAX_PARAM_VAL_LENGTH for param in params):
        raise NotServed
    if any(len(tag.value) > validation.MAX_TAG_VAL_LENGTH or tag.key == "mlflow.runName" for tag in tags):
        raise NotServed


def _row(metric: Metric | LogMetric) -> _Row:
    value = float(metric.value)
    is_nan = math.isnan(value)
    stored = 0.0 if is_nan else min(max(value, -_GREATEST), _GREATEST)
    return _Row(metric.key, stored, metric.timestamp, metric.step, is_nan)


def latest(rows: Iterable[_Row]) -> list[_Row]:
    """Of the rows of each metric the one that MLflow takes for its latest value."""
    found: dict[str, _Row] = {}
    for row in rows:
        known = found.setdefault(row.key, row)
        if (row.step, row.timestamp, row.value) > (known.step, known.timestamp, known.value):
            found[row.key] = row
    return list(found.values())


def _columns(name: str, rows: Sequence[_Row]) -> dict[str, str]:
    return {
        f"{name}_keys": arrays.of_texts([row.key for row in rows]),
        f"{name}_values": arrays.of_numbers([row.value for row in rows]),
        f"{name}_timestamps": arrays.of_numbers([row.timestamp for row in rows]),
        f"{name}_steps": arrays.of_numbers([row.step for row in rows]),
        f"{name}_is_nan": arrays.of_booleans([row.is_nan for row in rows]),
    }

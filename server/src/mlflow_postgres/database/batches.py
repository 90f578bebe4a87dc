"""What a run logs at once, in one statement of one transaction, where MLflow takes four and an object for each row.

What is already there is MLflow's to judge: a parameter that exists, or a batch that fails in any way, is undone as a
whole and given to MLflow's own `log_batch`, which says what is wrong with it. All of it can be logged twice.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from types import ModuleType

import sqlalchemy
from mlflow.entities import Metric, Param, RunTag
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from ..replacement import replace
from . import characters

_Row = tuple[str, float, int, int, bool]
"""key, value, timestamp, step, is_nan"""

# One statement for all of it, for each costs a round trip. Nothing is written to a run that is not active. Of what is
# written twice:
# - a parameter is MLflow's to judge, so those that are new are counted;
# - a metric stays in the order of the batch: 0.0 and -0.0 are one value to PostgreSQL, and the first of them stays;
# - as the latest value the later one stays: of two with the same step and timestamp the greater.
_STATEMENT = """
WITH run AS (
  SELECT FROM runs WHERE run_uuid = :run_id AND lifecycle_stage = 'active'
), new_params AS (
  INSERT INTO params (run_uuid, key, value)
  SELECT :run_id, key, value
    FROM unnest(CAST(:param_keys AS varchar[]), CAST(:param_values AS varchar[])) AS new (key, value), run
   ORDER BY key ON CONFLICT DO NOTHING RETURNING 1
), new_metrics AS (
  INSERT INTO metrics (run_uuid, key, value, timestamp, step, is_nan)
  SELECT :run_id, key, value, timestamp, step, is_nan
    FROM unnest(CAST(:metric_keys AS varchar[]), CAST(:metric_values AS float8[]), CAST(:metric_timestamps AS bigint[]),
                CAST(:metric_steps AS bigint[]), CAST(:metric_is_nan AS boolean[])) WITH ORDINALITY
         AS new (key, value, timestamp, step, is_nan, place), run
   ORDER BY key, place ON CONFLICT DO NOTHING
), new_latest AS (
  INSERT INTO latest_metrics AS old (run_uuid, key, value, timestamp, step, is_nan)
  SELECT :run_id, key, value, timestamp, step, is_nan
    FROM unnest(CAST(:latest_keys AS varchar[]), CAST(:latest_values AS float8[]), CAST(:latest_timestamps AS bigint[]),
                CAST(:latest_steps AS bigint[]), CAST(:latest_is_nan AS boolean[]))
         AS new (key, value, timestamp, step, is_nan), run
   ORDER BY key ON CONFLICT (key, run_uuid) DO UPDATE
     SET value = excluded.value, timestamp = excluded.timestamp, step = excluded.step, is_nan = excluded.is_nan
   WHERE (excluded.step, excluded.timestamp, excluded.value) > (old.step, old.timestamp, old.value)
), new_tags AS (
  INSERT INTO tags (run_uuid, key, value)
  SELECT :run_id, key, value
    FROM unnest(CAST(:tag_keys AS varchar[]), CAST(:tag_values AS varchar[])) AS new (key, value), run
   ORDER BY key ON CONFLICT (key, run_uuid) DO UPDATE SET value = excluded.value
)
SELECT (SELECT count(*) FROM run), (SELECT count(*) FROM new_params)
"""
_COLUMNS = ("keys", "values", "timestamps", "steps", "is_nan")


def install() -> None:
    module = importlib.import_module("mlflow.store.tracking.sqlalchemy_store")
    store = module.SqlAlchemyStore
    original = store.log_batch

    def log_batch(
        self: SqlAlchemyStore,
        run_id: str,
        metrics: Sequence[Metric],
        params: Sequence[Param],
        tags: Sequence[RunTag],
    ) -> object:
        params = [kept(param) for param in params]
        try:
            # A store of another kind, such as one with workspaces, has a say in which runs there are.
            if type(self) is store and plain(metrics, tags) and _written(self, module, run_id, metrics, params, tags):
                return None
        except module.MlflowException:
            # Whatever it was, nothing of the batch is there; MLflow's own tries again, or says it in its words.
            pass
        return original(self, run_id, metrics, params, tags)

    replace(store, log_batch=log_batch)


def kept(param: Param) -> Param:
    """A parameter as the database holds it: MLflow compares it with what is there, when a client logs it again."""
    if not isinstance(param.value, str) or characters.is_storable(param.value):
        return param
    return type(param)(param.key, characters.storable(param.value))


def plain(metrics: Sequence[Metric], tags: Sequence[RunTag]) -> bool:
    """Whether there is nothing in it that MLflow writes into other tables, too."""
    return not any(getattr(metric, "model_id", None) for metric in metrics) and not any(
        tag.key == "mlflow.runName" for tag in tags
    )


def latest(rows: Sequence[_Row]) -> list[_Row]:
    """Of the rows (key, value, timestamp, step, is_nan) the one of each key that MLflow takes for its latest value."""
    found: dict[str, _Row] = {}
    for row in rows:
        known = found.setdefault(row[0], row)
        if (row[3], row[2], row[1]) > (known[3], known[2], known[1]):
            found[row[0]] = row
    return list(found.values())


def _written(
    store: SqlAlchemyStore,
    module: ModuleType,
    run_id: str,
    metrics: Sequence[Metric],
    params: Sequence[Param],
    tags: Sequence[RunTag],
) -> bool:
    module._validate_run_id(run_id)
    metrics, params, tags = module._validate_batch_log_data(metrics, params, tags)
    module._validate_batch_log_limits(metrics, params, tags)
    module._validate_param_keys_unique(params)
    rows = []
    for metric in metrics:
        is_nan, value = store.sanitize_metric_value(metric.value)
        rows.append((metric.key, float(value), metric.timestamp, metric.step, is_nan))
    values = {"run_id": run_id, **_texts("param", params), **_numbers("metric", rows), **_texts("tag", tags)}
    values |= _numbers("latest", latest(rows))
    with store.ManagedSessionMaker(read_only=False) as session:
        if tuple(session.execute(sqlalchemy.text(_STATEMENT), values).one()) == (1, len(params)):
            return True
        session.rollback()
    return False


def _texts(name: str, items: Sequence[Param] | Sequence[RunTag]) -> dict[str, list[str]]:
    values = {each.key: each.value for each in items}
    return {f"{name}_keys": list(values), f"{name}_values": list(values.values())}


def _numbers(name: str, rows: Sequence[_Row]) -> dict[str, list[object]]:
    columns: Iterable[tuple[object, ...]] = zip(*rows, strict=True) if rows else ((),) * len(_COLUMNS)
    return {f"{name}_{column}": list(values) for column, values in zip(_COLUMNS, columns, strict=True)}

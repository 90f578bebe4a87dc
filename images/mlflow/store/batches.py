"""What a run logs at once, in one transaction of a few statements, where MLflow takes four and an object for each row.

What is already there is MLflow's to judge: a parameter that exists, or a batch that fails in any way, is undone as a
whole and given to MLflow's own `log_batch`, which says what is wrong with it. All of it can be logged twice.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

_PARAMS = """
INSERT INTO params (run_uuid, key, value)
SELECT :run_id, key, value FROM unnest(CAST(:keys AS varchar[]), CAST(:texts AS varchar[])) AS new (key, value)
 ORDER BY key ON CONFLICT DO NOTHING
"""
# In the order of the batch: 0.0 and -0.0 are one value to PostgreSQL, and the first of them stays.
_METRICS = """
INSERT INTO metrics (run_uuid, key, value, timestamp, step, is_nan)
SELECT :run_id, key, value, timestamp, step, is_nan
  FROM unnest(CAST(:keys AS varchar[]), CAST(:numbers AS float8[]), CAST(:timestamps AS bigint[]),
              CAST(:steps AS bigint[]), CAST(:is_nan AS boolean[])) WITH ORDINALITY
       AS new (key, value, timestamp, step, is_nan, place)
 ORDER BY key, place ON CONFLICT DO NOTHING
"""
# The later one stays: of two with the same step and timestamp the greater.
_LATEST = """
INSERT INTO latest_metrics AS old (run_uuid, key, value, timestamp, step, is_nan)
SELECT :run_id, key, value, timestamp, step, is_nan
  FROM unnest(CAST(:keys AS varchar[]), CAST(:numbers AS float8[]), CAST(:timestamps AS bigint[]),
              CAST(:steps AS bigint[]), CAST(:is_nan AS boolean[])) AS new (key, value, timestamp, step, is_nan)
 ORDER BY key ON CONFLICT (key, run_uuid) DO UPDATE
   SET value = excluded.value, timestamp = excluded.timestamp, step = excluded.step, is_nan = excluded.is_nan
 WHERE (excluded.step, excluded.timestamp, excluded.value) > (old.step, old.timestamp, old.value)
"""
_TAGS = """
INSERT INTO tags (run_uuid, key, value)
SELECT :run_id, key, value FROM unnest(CAST(:keys AS varchar[]), CAST(:texts AS varchar[])) AS new (key, value)
 ORDER BY key ON CONFLICT (key, run_uuid) DO UPDATE SET value = excluded.value
"""


def install() -> None:
    module: Any = importlib.import_module("mlflow.store.tracking.sqlalchemy_store")
    store = module.SqlAlchemyStore
    original = store.log_batch

    def log_batch(self: Any, run_id: Any, metrics: Any, params: Any, tags: Any) -> Any:
        try:
            if plain(metrics, tags) and _written(self, module, run_id, metrics, params, tags):
                return None
        except module.MlflowException:
            # Whatever it was, nothing of the batch is there; MLflow's own tries again, or says it in its words.
            pass
        return original(self, run_id, metrics, params, tags)

    store.log_batch = log_batch


def plain(metrics: Sequence[Any], tags: Sequence[Any]) -> bool:
    """Whether there is nothing in it that MLflow writes into other tables, too."""
    return not any(getattr(metric, "model_id", None) for metric in metrics) and not any(
        tag.key == "mlflow.runName" for tag in tags
    )


def latest(rows: Sequence[tuple[str, float, int, int, bool]]) -> list[tuple[str, float, int, int, bool]]:
    """Of the rows (key, value, timestamp, step, is_nan) the one of each key that MLflow takes for its latest value."""
    found: dict[str, tuple[str, float, int, int, bool]] = {}
    for row in rows:
        known = found.setdefault(row[0], row)
        if (row[3], row[2], row[1]) > (known[3], known[2], known[1]):
            found[row[0]] = row
    return list(found.values())


def _written(store: Any, module: Any, run_id: str, metrics: Any, params: Any, tags: Any) -> bool:
    module._validate_run_id(run_id)
    metrics, params, tags = module._validate_batch_log_data(metrics, params, tags)
    module._validate_batch_log_limits(metrics, params, tags)
    module._validate_param_keys_unique(params)
    rows = []
    for metric in metrics:
        is_nan, value = store.sanitize_metric_value(metric.value)
        rows.append((metric.key, float(value), metric.timestamp, metric.step, is_nan))
    with store.ManagedSessionMaker(read_only=False) as session:
        store._check_run_is_active(store._get_run(run_uuid=run_id, session=session))
        if params and _texts(session, _PARAMS, run_id, {each.key: each.value for each in params}) < len(params):
            session.rollback()
            return False
        if rows:
            _numbers(session, _METRICS, run_id, rows)
            _numbers(session, _LATEST, run_id, latest(rows))
        if tags:
            _texts(session, _TAGS, run_id, {each.key: each.value for each in tags})
    return True


def _texts(session: Any, statement: str, run_id: str, values: dict[str, str]) -> int:
    """Number of rows that were written."""
    return _execute(session, statement, run_id=run_id, keys=list(values), texts=list(values.values()))


def _numbers(session: Any, statement: str, run_id: str, rows: Sequence[tuple[str, float, int, int, bool]]) -> None:
    keys, numbers, timestamps, steps, is_nan = (list(column) for column in zip(*rows, strict=True))
    _execute(
        session,
        statement,
        run_id=run_id,
        keys=keys,
        numbers=numbers,
        timestamps=timestamps,
        steps=steps,
        is_nan=is_nan,
    )


def _execute(session: Any, statement: str, **values: Any) -> int:
    import sqlalchemy  # type: ignore[import-not-found]  # only the image has it

    return int(session.execute(sqlalchemy.text(statement), values).rowcount)

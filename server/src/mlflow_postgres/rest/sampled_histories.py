"""Samples of the histories of a metric: get-history-bulk-interval, which the chart page asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from . import answers, arrays, metric_texts
from .arguments import Arguments, Integer, RunId
from .database import Database
from .errors import NotServed

# MLflow divides a history into as many buckets as there may be values, by `ntile`. The first buckets have one row more
# if not all can have the same number. It takes the first row of each bucket, but of the last bucket the last row.
# So the number of a row says whether it is taken.
# A run that does not exist has no history, for MLflow as well.
_RUNS: Final = "unnest(%(run_ids)s::varchar[]) WITH ORDINALITY AS run (run_id, place)"
_HISTORY: Final = """
run_uuid = run_id AND key = %(metric_key)s::varchar AND step BETWEEN %(start_step)s::bigint AND %(end_step)s::bigint
"""
_ALL: Final = "total <= %(most)s::bigint"

# If no two rows that are taken have one step, an index has the steps in order, and only these rows are read. Numbers
# start at 1, as arrays do.
_GET: Final = f"""
SELECT string_agg({metric_texts.VALUE_OF_RUN}, ',' ORDER BY step, timestamp, value, is_nan),
       count(*) = least(max(total), %(most)s::bigint) AS is_sample
  FROM {_RUNS},
       LATERAL (
         SELECT steps, total, total / %(most)s::bigint AS size, total %% %(most)s::bigint AS larger
           FROM (SELECT array_agg(step) AS steps, count(*) AS total
                   FROM (SELECT step FROM metrics WHERE {_HISTORY} ORDER BY step) AS metric) AS counted) AS history,
       LATERAL (
         SELECT * FROM metrics WHERE {_HISTORY} AND {_ALL}
         UNION ALL
         SELECT metric.*
           FROM generate_series(0, %(most)s::bigint - 1) AS bucket,
                LATERAL (SELECT CASE WHEN bucket = %(most)s::bigint - 1 THEN total
                                     ELSE bucket * size + least(bucket, larger) + 1 END AS number) AS taken,
                LATERAL (SELECT * FROM metrics
                          WHERE run_uuid = run_id AND key = %(metric_key)s::varchar AND step = steps[number]
                          LIMIT 2) AS metric
          WHERE NOT {_ALL}) AS metric
 GROUP BY place ORDER BY place
"""

# Numbers start at 0.
_GET_WITH_EQUAL_STEPS: Final = f"""
SELECT string_agg({metric_texts.VALUE_OF_RUN}, ',' ORDER BY number)
  FROM {_RUNS},
       LATERAL (
         SELECT *, row_number() OVER history - 1 AS number,
                (SELECT count(*) FROM metrics WHERE {_HISTORY}) AS total
           FROM metrics WHERE {_HISTORY}
         WINDOW history AS (ORDER BY step, timestamp, value, is_nan)) AS metric,
       LATERAL (SELECT total / %(most)s::bigint AS size, total %% %(most)s::bigint AS larger) AS bucket
 WHERE {_ALL}
    OR number = total - 1
    OR number < size * (%(most)s::bigint - 1) + larger
       AND CASE WHEN number < larger * (size + 1) THEN number %% (size + 1) = 0
                ELSE (number - larger * (size + 1)) %% size = 0 END
 GROUP BY place ORDER BY place
"""
_MOST: Final = 2_500
"""Values of a run."""
_FIRST, _LAST = -(2**63), 2**63 - 1
"""Steps of all."""


class Get(Arguments):
    run_ids: Annotated[Sequence[RunId], msgspec.Meta(min_length=1, max_length=100)]
    metric_key: Annotated[str, msgspec.Meta(min_length=1)]
    start_step: Integer | None = None
    end_step: Integer | None = None
    max_results: Annotated[int, msgspec.Meta(ge=1, le=_MOST)] = _MOST


async def get(database: Database, arguments: Get) -> bytes:
    start, end = arguments.start_step, arguments.end_step
    if (start is None) != (end is None) or (start is not None and end is not None and start > end):
        raise NotServed
    values = {
        "run_ids": arrays.of_texts(arguments.run_ids),
        "metric_key": arguments.metric_key,
        "head": metric_texts.head(arguments.metric_key),
        "start_step": str(_FIRST if start is None else start),
        "end_step": str(_LAST if end is None else end),
        "most": str(arguments.max_results),
    }
    rows = await database.read(_GET, values)
    if any(row[-1] == b"f" for row in rows):
        rows = await database.read(_GET_WITH_EQUAL_STEPS, values)
    metrics = b",".join([row[0] for row in rows])
    return answers.ascii_json(b'{"metrics":[%b]}' % answers.numbers(metrics)) if metrics else answers.EMPTY

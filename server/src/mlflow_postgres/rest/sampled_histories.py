"""Samples of the histories of a metric: get-history-bulk-interval, which the chart page asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, LiteralString

import msgspec

from . import answers, arrays
from .arguments import Arguments, Integer, RunId
from .database import Database
from .errors import NotServed

# MLflow divides a history into as many buckets as there may be values, by `ntile`. The first buckets have one row more
# if not all can have the same number. It takes the first row of each bucket, but of the last bucket the last row.
# So the number of a row, from 0, says whether it is taken.
# A run that does not exist has no history, for MLflow as well.
_GET: Final[LiteralString] = """
SELECT string_agg(json_build_object(
         'key', %(metric_key)s::text, 'value', CASE WHEN is_nan THEN 'NaN' ELSE value END,
         'timestamp', timestamp, 'step', step, 'run_id', run_id)::text, ',' ORDER BY number)
  FROM unnest(%(run_ids)s::varchar[]) WITH ORDINALITY AS run (run_id, place),
       LATERAL (
         SELECT value, timestamp, step, is_nan, row_number() OVER history - 1 AS number,
                (SELECT count(*) FROM metrics
                  WHERE run_uuid = run_id AND key = %(metric_key)s::varchar
                    AND step BETWEEN %(start_step)s::bigint AND %(end_step)s::bigint) AS total
           FROM metrics
          WHERE run_uuid = run_id AND key = %(metric_key)s::varchar
            AND step BETWEEN %(start_step)s::bigint AND %(end_step)s::bigint
         WINDOW history AS (ORDER BY step, timestamp, value, is_nan)) AS metric,
       LATERAL (SELECT total / %(most)s::bigint AS size, total %% %(most)s::bigint AS larger) AS bucket
 WHERE total <= %(most)s::bigint
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
        "start_step": str(_FIRST if start is None else start),
        "end_step": str(_LAST if end is None else end),
        "most": str(arguments.max_results),
    }
    metrics = b",".join([row for (row,) in await database.read(_GET, values)])
    return answers.ascii_json(b'{"metrics":[%b]}' % answers.numbers(metrics)) if metrics else answers.EMPTY

"""Whole histories of metrics: get-history, and get-history-bulk for several runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, LiteralString

import msgspec

from . import answers, arrays, pages
from .arguments import Arguments, OfRun, RunId
from .database import Database

_GET: Final[LiteralString] = """
SELECT json_build_object('key', key, 'value', CASE WHEN is_nan THEN 'NaN' ELSE value END,
                         'timestamp', timestamp, 'step', step)
  FROM metrics WHERE run_uuid = %(run_id)s::varchar AND key = %(metric_key)s::varchar
 ORDER BY timestamp, step, metrics.value OFFSET %(offset)s::bigint LIMIT %(limit)s::bigint
"""

# A run that does not exist has no history, for MLflow as well.
_GET_BULK: Final[LiteralString] = """
SELECT string_agg(metric::text, ',') FROM (
  SELECT json_build_object('key', key, 'value', CASE WHEN is_nan THEN 'NaN' ELSE value END,
                           'timestamp', timestamp, 'step', step, 'run_id', run_uuid) AS metric
    FROM metrics WHERE run_uuid = ANY(%(run_ids)s::varchar[]) AND key = %(metric_key)s::varchar
   ORDER BY run_uuid, timestamp, step, metrics.value LIMIT %(limit)s::bigint) AS history
"""
_MOST: Final = 25_000
"""Values that MLflow has in an answer for several runs."""


class Get(OfRun):
    metric_key: Annotated[str, msgspec.Meta(min_length=1)]
    page_token: str = ""
    max_results: Annotated[int, msgspec.Meta(gt=0, lt=2**31)] | None = None


class GetBulk(Arguments):
    run_id: Annotated[Sequence[RunId], msgspec.Meta(min_length=1, max_length=100)]
    metric_key: str
    max_results: Annotated[int, msgspec.Meta(ge=0, lt=2**31)] = _MOST


async def get(database: Database, arguments: Get) -> bytes:
    before = pages.offset(arguments.page_token)
    most = arguments.max_results
    values = {
        "run_id": arguments.run_id,
        "metric_key": arguments.metric_key,
        "offset": str(before),
        "limit": None if most is None else str(most + 1),
    }
    rows = [row for (row,) in await database.read(_GET, values)]
    fields = []
    if rows[:most]:
        fields.append(b'"metrics":[%b]' % answers.numbers(b",".join(rows[:most])))
    if most is not None and len(rows) > most:
        fields.append(b'"next_page_token":"%b"' % pages.token(before + most))
    return answers.ascii_json(b"{%b}" % b",".join(fields))


async def get_bulk(database: Database, arguments: GetBulk) -> bytes:
    values = {
        "run_ids": arrays.of_texts(arguments.run_id),
        "metric_key": arguments.metric_key,
        "limit": str(min(arguments.max_results, _MOST)),
    }
    ((metrics,),) = await database.read(_GET_BULK, values)
    # Flask writes words that are no JSON for what is not finite.
    for word in (b"NaN", b"Infinity", b"-Infinity"):
        metrics = metrics.replace(b'"value" : "%b"' % word, b'"value" : %b' % word)
    return answers.ascii_json(b'{"metrics":[%b]}' % answers.numbers(metrics))

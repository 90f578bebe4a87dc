"""Whole histories of metrics: get-history, and get-history-bulk for several runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from . import answers, arrays, metric_texts, pages
from .arguments import Arguments, OfRun, RunId
from .database import Database

# One row: a history may have a million values. Texts only of those that are in the answer, not of those before.
_GET: Final = f"""
SELECT string_agg({metric_texts.VALUE}, ','), count(*) FROM (
  SELECT * FROM metrics WHERE run_uuid = %(run_id)s::varchar AND key = %(metric_key)s::varchar
   ORDER BY timestamp, step, metrics.value OFFSET %(offset)s::bigint LIMIT %(limit)s::bigint) AS history
"""

# A run that does not exist has no history, for MLflow as well.
_GET_BULK: Final = f"""
SELECT string_agg({metric_texts.VALUE_OF_RUN}, ',') FROM (
  SELECT * FROM metrics WHERE run_uuid = ANY(%(run_ids)s::varchar[]) AND key = %(metric_key)s::varchar
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
        "head": metric_texts.head(arguments.metric_key),
        "offset": str(before),
        "limit": None if most is None else str(most + 1),
    }
    ((metrics, count),) = await database.read(_GET, values)
    fields = []
    token = b""
    if most is not None and int(count) > most:
        # No text contains an unescaped quote, so this is where the last value begins.
        metrics = metrics[: metrics.rindex(b',{"key" : ')]
        token = pages.token(before + most)
    if metrics:
        fields.append(b'"metrics":[%b]' % answers.numbers(metrics))
    if token:
        fields.append(b'"next_page_token":"%b"' % token)
    return answers.ascii_json(b"{%b}" % b",".join(fields))


async def get_bulk(database: Database, arguments: GetBulk) -> bytes:
    values = {
        "run_ids": arrays.of_texts(arguments.run_id),
        "metric_key": arguments.metric_key,
        "head": metric_texts.head(arguments.metric_key),
        "limit": str(min(arguments.max_results, _MOST)),
    }
    ((metrics,),) = await database.read(_GET_BULK, values)
    # Flask writes words that are no JSON for what is not finite.
    for word in (b"NaN", b"Infinity", b"-Infinity"):
        metrics = metrics.replace(b'"value" : "%b"' % word, b'"value" : %b' % word)
    return answers.ascii_json(b'{"metrics":[%b]}' % answers.numbers(metrics))

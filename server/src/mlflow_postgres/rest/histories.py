"""Histories of metrics: get-history."""

from __future__ import annotations

from typing import Annotated, Final, LiteralString

import msgspec

from . import answers, pages
from .arguments import OfRun
from .database import Database

_GET: Final[LiteralString] = """
SELECT json_build_object('key', key, 'value', CASE WHEN is_nan THEN 'NaN' ELSE value END,
                         'timestamp', timestamp, 'step', step)
  FROM metrics WHERE run_uuid = %(run_id)s::varchar AND key = %(metric_key)s::varchar
 ORDER BY timestamp, step, metrics.value OFFSET %(offset)s::bigint LIMIT %(limit)s::bigint
"""


class Get(OfRun):
    metric_key: Annotated[str, msgspec.Meta(min_length=1)]
    page_token: str = ""
    max_results: Annotated[int, msgspec.Meta(gt=0, lt=2**31)] | None = None


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
        # Only a value that is the number -0 is followed by a comma and not a quote.
        text = b",".join(rows[:most]).replace(b'"value" : -0, ', b'"value" : -0.0, ')
        fields.append(b'"metrics":[%b]' % text)
    if most is not None and len(rows) > most:
        fields.append(b'"next_page_token":"%b"' % pages.token(before + most))
    return answers.ascii_json(b"{%b}" % b",".join(fields))

"""Tags of traces: set and delete."""

from __future__ import annotations

from typing import Final, LiteralString

from mlflow.server.handlers import _validate_trace_tag_handler_mutation
from mlflow.tracing.constant import TraceTagKey
from mlflow.utils.validation import _validate_trace_tag

from . import answers
from .arguments import Name, OfTrace, check
from .database import Database
from .errors import NotServed

_SET: Final[LiteralString] = """
INSERT INTO trace_tags (request_id, key, value)
SELECT request_id, %(key)s::varchar, %(value)s::varchar FROM trace_info WHERE request_id = %(trace_id)s::varchar
ON CONFLICT (request_id, key) DO UPDATE SET value = excluded.value
RETURNING 1
"""
_DELETE: Final[LiteralString] = """
DELETE FROM trace_tags WHERE request_id = %(trace_id)s::varchar AND key = %(key)s::varchar RETURNING 1
"""


class Set(OfTrace):
    key: Name
    value: str = ""


class Delete(OfTrace):
    key: Name


async def set_tag(database: Database, arguments: Set) -> bytes:
    check(_validate_trace_tag_handler_mutation, arguments.key, "set")
    check(_validate_trace_tag, arguments.key, arguments.value)
    _, value = _validate_trace_tag(arguments.key, arguments.value)  # MLflow cuts a long one
    _check(arguments.key)
    await database.write(_SET, {"trace_id": arguments.trace_id, "key": arguments.key, "value": value})
    return answers.EMPTY


async def delete_tag(database: Database, arguments: Delete) -> bytes:
    check(_validate_trace_tag_handler_mutation, arguments.key, "deleted")
    _check(arguments.key)
    await database.write(_DELETE, {"trace_id": arguments.trace_id, "key": arguments.key})
    return answers.EMPTY


def _check(key: str) -> None:
    """Raise `NotServed` for what is no row of this table."""
    if key == TraceTagKey.TRACE_NAME:
        raise NotServed

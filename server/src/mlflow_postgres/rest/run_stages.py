"""Lifecycle stages of runs: delete and restore."""

from __future__ import annotations

from typing import Final, LiteralString

from mlflow.tracing.constant import AssessmentMetadataKey
from mlflow.utils.time import get_current_time_millis

from . import answers
from .arguments import Arguments, RunId
from .database import Database

# MLflow deletes the assessments of the run as well.
_DELETE: Final[LiteralString] = """
UPDATE runs SET lifecycle_stage = 'deleted', deleted_time = %(now)s::bigint
 WHERE run_uuid = %(run_id)s::varchar
   AND NOT EXISTS (SELECT FROM assessments WHERE assessment_metadata LIKE %(of_run)s::text)
RETURNING 1
"""
_RESTORE: Final[LiteralString] = """
UPDATE runs SET lifecycle_stage = 'active', deleted_time = NULL WHERE run_uuid = %(run_id)s::varchar RETURNING 1
"""


class Delete(Arguments):
    run_id: RunId


class Restore(Arguments):
    run_id: RunId


async def delete(database: Database, arguments: Delete) -> bytes:
    now: int = get_current_time_millis()
    values = {
        "run_id": arguments.run_id,
        "now": str(now),
        "of_run": f'%"{AssessmentMetadataKey.SOURCE_RUN_ID}": "{arguments.run_id}"%',
    }
    await database.write(_DELETE, values)
    return answers.EMPTY


async def restore(database: Database, arguments: Restore) -> bytes:
    await database.write(_RESTORE, {"run_id": arguments.run_id})
    return answers.EMPTY

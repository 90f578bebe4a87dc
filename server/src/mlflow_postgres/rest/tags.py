"""Tags of runs: delete-tag."""

from __future__ import annotations

from typing import Final, LiteralString

from . import answers
from .arguments import Arguments, RunId
from .database import Database

_DELETE: Final[LiteralString] = """
DELETE FROM tags USING runs
 WHERE tags.run_uuid = %(run_id)s::varchar AND tags.key = %(key)s::varchar
   AND runs.run_uuid = tags.run_uuid AND runs.lifecycle_stage = 'active'
RETURNING 1
"""


class DeleteTag(Arguments):
    run_id: RunId
    key: str


async def delete_tag(database: Database, arguments: DeleteTag) -> bytes:
    await database.write(_DELETE, {"run_id": arguments.run_id, "key": arguments.key})
    return answers.EMPTY

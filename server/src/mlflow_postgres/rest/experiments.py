"""Experiments: get and get-by-name."""

from __future__ import annotations

from typing import Annotated, Final, LiteralString

import msgspec

from . import answers
from .arguments import Arguments, ExperimentId
from .database import Database
from .errors import NotServed

# MLflow fails on an experiment without a location or a stage.
_EXPERIMENT: Final[LiteralString] = """
SELECT json_strip_nulls(json_build_object(
         'experiment_id', experiment_id::text, 'name', name, 'artifact_location', artifact_location,
         'lifecycle_stage', lifecycle_stage, 'last_update_time', nullif(last_update_time, 0),
         'creation_time', nullif(creation_time, 0),
         'tags', (SELECT json_agg(json_build_object('key', key, 'value', value))
                    FROM experiment_tags WHERE experiment_id = experiment.experiment_id),
         'workspace', workspace))
  FROM experiments AS experiment
 WHERE artifact_location IS NOT NULL AND lifecycle_stage IS NOT NULL
"""
_GET: Final[LiteralString] = _EXPERIMENT + " AND experiment_id = %(experiment_id)s::integer"
_GET_BY_NAME: Final[LiteralString] = _EXPERIMENT + " AND name = %(name)s::varchar"


class Get(Arguments):
    experiment_id: ExperimentId


class GetByName(Arguments):
    experiment_name: Annotated[str, msgspec.Meta(min_length=1)]


async def get(database: Database, arguments: Get) -> bytes:
    return await _answer(database, _GET, {"experiment_id": arguments.experiment_id})


async def get_by_name(database: Database, arguments: GetByName) -> bytes:
    return await _answer(database, _GET_BY_NAME, {"name": arguments.experiment_name})


async def _answer(database: Database, statement: LiteralString, values: dict[str, str]) -> bytes:
    rows = await database.read(statement, values)
    if len(rows) != 1:
        raise NotServed
    ((experiment,),) = rows
    return answers.ascii_json(b'{"experiment":%b}' % experiment)

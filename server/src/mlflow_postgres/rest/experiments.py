"""Experiments: get, get-by-name and set-experiment-tag."""

from __future__ import annotations

from typing import Annotated, Final, LiteralString

import msgspec
from mlflow.utils import validation
from mlflow.utils.mlflow_tags import MLFLOW_CUSTOM_VIEW_TAG_PREFIX

from . import answers
from .arguments import Arguments, ExperimentId, check
from .database import Database
from .errors import NotServed

JSON: Final[LiteralString] = """
json_strip_nulls(json_build_object(
  'experiment_id', experiment_id::text, 'name', name, 'artifact_location', artifact_location,
  'lifecycle_stage', lifecycle_stage, 'last_update_time', nullif(last_update_time, 0),
  'creation_time', nullif(creation_time, 0),
  'tags', (SELECT json_agg(json_build_object('key', key, 'value', value))
             FROM experiment_tags WHERE experiment_id = experiment.experiment_id),
  'workspace', workspace))
"""
"""An experiment, as a column of a statement over `experiments AS experiment`."""

# MLflow fails on an experiment without a location or a stage.
IS_WHOLE: Final[LiteralString] = "(artifact_location IS NOT NULL AND lifecycle_stage IS NOT NULL)"

_EXPERIMENT: Final[LiteralString] = f"SELECT {JSON} FROM experiments AS experiment WHERE {IS_WHOLE}"
_GET: Final[LiteralString] = _EXPERIMENT + " AND experiment_id = %(experiment_id)s::integer"
_GET_BY_NAME: Final[LiteralString] = _EXPERIMENT + " AND name = %(name)s::varchar"

_SET_TAG: Final[LiteralString] = """
INSERT INTO experiment_tags (experiment_id, key, value)
SELECT experiment_id, %(key)s::varchar, %(value)s::varchar
  FROM experiments WHERE experiment_id = %(experiment_id)s::integer AND lifecycle_stage = 'active'
ON CONFLICT (key, experiment_id) DO UPDATE SET value = excluded.value
RETURNING 1
"""


class Get(Arguments):
    experiment_id: ExperimentId


class GetByName(Arguments):
    experiment_name: Annotated[str, msgspec.Meta(min_length=1)]


class SetTag(Arguments):
    experiment_id: ExperimentId
    key: str
    value: str = ""


async def get(database: Database, arguments: Get) -> bytes:
    return await _answer(database, _GET, {"experiment_id": arguments.experiment_id})


async def get_by_name(database: Database, arguments: GetByName) -> bytes:
    return await _answer(database, _GET_BY_NAME, {"name": arguments.experiment_name})


async def set_tag(database: Database, arguments: SetTag) -> bytes:
    # MLflow counts the views of an experiment.
    if arguments.key.startswith(MLFLOW_CUSTOM_VIEW_TAG_PREFIX):
        raise NotServed
    check(validation._validate_experiment_tag, arguments.key, arguments.value)
    values = {"experiment_id": arguments.experiment_id, "key": arguments.key, "value": arguments.value}
    await database.write(_SET_TAG, values)
    return answers.EMPTY


async def _answer(database: Database, statement: LiteralString, values: dict[str, str]) -> bytes:
    rows = await database.read(statement, values)
    if len(rows) != 1:
        raise NotServed
    ((experiment,),) = rows
    return answers.ascii_json(b'{"experiment":%b}' % experiment)

"""Runs: create, update and get."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Final, Literal, LiteralString

import msgspec
from mlflow.utils.name_utils import _generate_random_name

from . import answers, arrays, locations, run_columns
from .arguments import Arguments, ExperimentId, Integer, OfRun, Tag
from .database import Database
from .errors import NotServed

_CREATE: Final[LiteralString] = (
    """
WITH run AS (
  INSERT INTO runs (run_uuid, experiment_id, name, user_id, start_time, artifact_uri, status, lifecycle_stage,
                    source_type, source_name, source_version, entry_point_name)
  SELECT %(run_id)s::varchar, experiment_id, %(run_name)s::varchar, %(user_id)s::varchar, %(start_time)s::bigint,
         artifact_location || '/' || %(run_id)s::varchar || '/artifacts', 'RUNNING', 'active', 'UNKNOWN', '', '', ''
    FROM experiments
   WHERE experiment_id = %(experiment_id)s::integer AND lifecycle_stage = 'active'
     AND """
    + locations.IS_PLAIN
    + """
  RETURNING artifact_uri
), new_tags AS (
  INSERT INTO tags (run_uuid, key, value)
  SELECT %(run_id)s::varchar, key, value
    FROM unnest(%(keys)s::varchar[], %(values)s::varchar[]) AS new (key, value), run
)
SELECT artifact_uri FROM run
"""
)

_UPDATE: Final[LiteralString] = (
    """
WITH run AS (
  UPDATE runs AS run
     SET status = coalesce(%(status)s::varchar, status), end_time = coalesce(%(end_time)s::bigint, end_time),
         name = coalesce(%(run_name)s::varchar, name)
   WHERE run_uuid = %(run_id)s::varchar AND lifecycle_stage = 'active' AND """
    + run_columns.IS_WHOLE
    + """
  RETURNING *
), new_tag AS (
  INSERT INTO tags (run_uuid, key, value)
  SELECT run_uuid, 'mlflow.runName', name FROM run WHERE %(run_name)s::varchar IS NOT NULL
  ON CONFLICT (key, run_uuid) DO UPDATE SET value = excluded.value
)
SELECT """
    + run_columns.INFO
    + " FROM run"
)

_GET: Final[LiteralString] = (
    f"SELECT {run_columns.INFO} AS info, {run_columns.DATA}, {run_columns.DATASETS}, {run_columns.MODEL_OUTPUTS},"
    f" {run_columns.MODEL_INPUTS} FROM runs AS run WHERE run_uuid = %(run_id)s::varchar AND {run_columns.IS_WHOLE}"
)

_NAME = "mlflow.runName"


class Create(Arguments):
    experiment_id: ExperimentId
    user_id: str = ""
    run_name: str = ""
    start_time: Integer = 0
    tags: Sequence[Tag] = ()


class Update(OfRun):
    status: Literal["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"] | None = None
    end_time: Integer | None = None
    run_name: str | None = None


class Get(OfRun):
    pass


def _random_name() -> str:
    name: str = _generate_random_name()
    return name


async def create(database: Database, arguments: Create) -> bytes:
    tags = {tag.key: tag.value for tag in arguments.tags}
    if len(tags) != len(arguments.tags):
        raise NotServed
    name = arguments.run_name or tags.get(_NAME) or _random_name()
    if tags.setdefault(_NAME, name) != name:
        raise NotServed
    run_id = uuid.uuid4().hex
    values = {
        "run_id": run_id,
        "experiment_id": arguments.experiment_id,
        "run_name": name,
        "user_id": arguments.user_id,
        "start_time": str(arguments.start_time),
        "keys": arrays.of_texts(tags),
        "values": arrays.of_texts(tags.values()),
    }
    (artifact_uri,) = await database.write(_CREATE, values)
    info = {
        "run_id": run_id,
        "run_uuid": run_id,
        "run_name": name,
        "experiment_id": arguments.experiment_id,
        "user_id": arguments.user_id,
        "status": "RUNNING",
        "start_time": arguments.start_time,
        "artifact_uri": artifact_uri.decode(),
        "lifecycle_stage": "active",
    }
    data = {"tags": [{"key": key, "value": value} for key, value in tags.items()]}
    return answers.ascii_json(msgspec.json.encode({"run": {"info": info, "data": data, "inputs": {}}}))


async def update(database: Database, arguments: Update) -> bytes:
    name = arguments.run_name or None
    if arguments.status is None and arguments.end_time is None and name is None:
        raise NotServed
    values = {
        "run_id": arguments.run_id,
        "status": arguments.status,
        "end_time": None if arguments.end_time is None else str(arguments.end_time),
        "run_name": name,
    }
    (info,) = await database.write(_UPDATE, values)
    return answers.ascii_json(b'{"run_info":%b}' % info)


async def get(database: Database, arguments: Get) -> bytes:
    rows = await database.read(_GET, {"run_id": arguments.run_id})
    if len(rows) != 1:
        raise NotServed
    return answers.ascii_json(b'{"run":%b}' % answers.run(*rows[0]))

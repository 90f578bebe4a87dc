"""Registered models: get, search, create and set-tag."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, LiteralString

import msgspec
from mlflow.utils import validation
from mlflow.utils.time import get_current_time_millis

from . import answers, arrays, registry_columns, registry_filters, registry_searches
from .arguments import Arguments, Name, check
from .database import Database
from .errors import NotServed
from .registry_columns import NO_WEBHOOK, WORKSPACE

_GET: Final[LiteralString] = f"""
SELECT {registry_columns.MODEL}
  FROM registered_models AS model CROSS JOIN {registry_columns.latest(is_there=registry_columns.IS_THERE_OR_UNKNOWN)}
 WHERE model.workspace = {WORKSPACE} AND model.name = %(name)s::varchar AND latest.are_whole
"""

_SEARCH: Final = f"""
WITH page AS (
  SELECT *, row_number() OVER () AS place
    FROM (SELECT * FROM registered_models AS model WHERE model.workspace = {WORKSPACE} AND {{condition}}
           ORDER BY {{order}} OFFSET %(offset)s::bigint LIMIT %(limit)s::bigint) AS model
)
SELECT latest.are_whole, {registry_columns.MODEL}
  FROM page AS model CROSS JOIN {registry_columns.latest()} ORDER BY model.place
"""

_CREATE: Final[LiteralString] = f"""
WITH model AS (
  INSERT INTO registered_models (workspace, name, creation_time, last_updated_time, description)
  SELECT {WORKSPACE}, %(name)s::varchar, %(now)s::bigint, %(now)s::bigint, %(description)s::varchar
   WHERE {NO_WEBHOOK}
  ON CONFLICT DO NOTHING
  RETURNING workspace, name
), new_tags AS (
  INSERT INTO registered_model_tags (workspace, name, key, value)
  SELECT workspace, name, key, value
    FROM model, unnest(%(keys)s::varchar[], %(values)s::varchar[]) AS new (key, value)
)
SELECT FROM model
"""

_SET_TAG: Final[LiteralString] = f"""
INSERT INTO registered_model_tags (workspace, name, key, value)
SELECT workspace, name, %(key)s::varchar, %(value)s::varchar FROM registered_models
 WHERE workspace = {WORKSPACE} AND name = %(name)s::varchar AND {NO_WEBHOOK}
ON CONFLICT (workspace, key, name) DO UPDATE SET value = excluded.value
RETURNING 1
"""


class Get(Arguments):
    name: Name


class Search(registry_searches.Search):
    max_results: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 100


class Tag(Arguments):
    key: Name
    value: str = ""


class Create(Arguments):
    name: Name
    tags: Sequence[Tag] = ()
    description: str = ""


class SetTag(Arguments):
    name: Name
    key: Name
    value: str = ""


async def get(database: Database, arguments: Get) -> bytes:
    check(validation._validate_model_name, arguments.name)
    rows = await database.read(_GET, {"name": arguments.name})
    if len(rows) != 1:
        raise NotServed
    return answers.ascii_json(b'{"registered_model":%b}' % rows[0][0])


async def search(database: Database, arguments: Search) -> bytes:
    return await registry_searches.page(database, registry_filters.MODELS, _SEARCH, arguments)


async def create(database: Database, arguments: Create) -> bytes:
    check(validation._validate_model_name, arguments.name)
    for tag in arguments.tags:
        check(validation._validate_registered_model_tag, tag.key, tag.value)
    tags = {tag.key: tag.value for tag in arguments.tags}
    if len(tags) != len(arguments.tags):
        raise NotServed
    now = get_current_time_millis()
    values = {
        "name": arguments.name,
        "now": str(now),
        "description": arguments.description,
        "keys": arrays.of_texts(tags),
        "values": arrays.of_texts(tags.values()),
    }
    await database.write(_CREATE, values)
    model: dict[str, object] = {"name": arguments.name, "creation_timestamp": now, "last_updated_timestamp": now}
    if arguments.description:
        model["description"] = arguments.description
    if tags:
        model["tags"] = [{"key": key, "value": value} for key, value in tags.items()]
    return answers.ascii_json(msgspec.json.encode({"registered_model": model}))


async def set_tag(database: Database, arguments: SetTag) -> bytes:
    check(validation._validate_model_name, arguments.name)
    check(validation._validate_registered_model_tag, arguments.key, arguments.value)
    await database.write(_SET_TAG, {"name": arguments.name, "key": arguments.key, "value": arguments.value})
    return answers.EMPTY

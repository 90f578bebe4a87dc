"""Model versions: get, get-latest-versions, get-download-uri, search and set-tag."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, LiteralString

import msgspec
from mlflow.entities.model_registry.model_version_stages import ALL_STAGES, get_canonical_stage
from mlflow.utils import validation

from . import answers, arrays, registry_columns, registry_filters, registry_searches
from .arguments import Arguments, Name, Version, check
from .database import Database
from .errors import NotServed
from .registry_columns import IS_THERE, IS_WHOLE, NO_WEBHOOK, WORKSPACE

_THE_VERSION: Final[LiteralString] = f"""
version.workspace = {WORKSPACE} AND version.name = %(name)s::varchar AND version.version = %(version)s::integer
AND {IS_THERE}
"""

_GET: Final[LiteralString] = f"""
SELECT {registry_columns.VERSION_WITH_ALIASES} FROM model_versions AS version WHERE {_THE_VERSION} AND {IS_WHOLE}
"""

_GET_LATEST: Final[LiteralString] = f"""
SELECT latest.are_whole, latest.versions
  FROM registered_models AS model CROSS JOIN {
    registry_columns.latest(
        registry_columns.VERSION_WITH_ALIASES,
        registry_columns.IS_THERE_OR_UNKNOWN,
        "version.current_stage = ANY(%(stages)s::varchar[])",
    )
}
 WHERE model.workspace = {WORKSPACE} AND model.name = %(name)s::varchar
"""

_GET_DOWNLOAD_URI: Final[LiteralString] = f"""
SELECT json_build_object('artifact_uri', coalesce(nullif(version.storage_location, ''), version.source))
  FROM model_versions AS version
 WHERE {_THE_VERSION} AND coalesce(nullif(version.storage_location, ''), version.source) IS NOT NULL
"""

_SEARCH: Final = f"""
WITH page AS (
  SELECT *, row_number() OVER () AS place
    FROM (SELECT * FROM model_versions AS version
           WHERE version.workspace = {WORKSPACE} AND {IS_THERE} AND {{condition}}
           ORDER BY {{order}} OFFSET %(offset)s::bigint LIMIT %(limit)s::bigint) AS version
)
SELECT {IS_WHOLE}, {registry_columns.VERSION} FROM page AS version ORDER BY version.place
"""

_SET_TAG: Final[LiteralString] = f"""
INSERT INTO model_version_tags (workspace, name, version, key, value)
SELECT workspace, name, version, %(key)s::varchar, %(value)s::varchar FROM model_versions AS version
 WHERE {_THE_VERSION} AND {NO_WEBHOOK}
ON CONFLICT (workspace, key, name, version) DO UPDATE SET value = excluded.value
RETURNING 1
"""


class Get(Arguments):
    name: Name
    version: Version


class GetLatest(Arguments):
    name: Name
    stages: Sequence[str] = ()


class Search(registry_searches.Search):
    max_results: Annotated[int, msgspec.Meta(ge=1, le=200_000)] = 200_000


class SetTag(Arguments):
    name: Name
    version: Version
    key: Name
    value: str = ""


async def get(database: Database, arguments: Get) -> bytes:
    return answers.ascii_json(b'{"model_version":%b}' % await _read(database, _GET, arguments))


async def get_download_uri(database: Database, arguments: Get) -> bytes:
    return answers.ascii_json(await _read(database, _GET_DOWNLOAD_URI, arguments))


async def _read(database: Database, statement: LiteralString, arguments: Get) -> bytes:
    check(validation._validate_model_name, arguments.name)
    rows = await database.read(statement, {"name": arguments.name, "version": arguments.version})
    if len(rows) != 1:
        raise NotServed
    return rows[0][0]


async def get_latest(database: Database, arguments: GetLatest) -> bytes:
    check(validation._validate_model_name, arguments.name)
    stages = [_canonical(stage) for stage in arguments.stages or ALL_STAGES]
    rows = await database.read(_GET_LATEST, {"name": arguments.name, "stages": arrays.of_texts(stages)})
    if len(rows) != 1 or rows[0][0] != b"t":
        raise NotServed
    versions = rows[0][1]
    return answers.ascii_json(b'{"model_versions":%b}' % versions if versions else answers.EMPTY)


def _canonical(stage: str) -> str:
    check(get_canonical_stage, stage)
    canonical: str = get_canonical_stage(stage)
    return canonical


async def search(database: Database, arguments: Search) -> bytes:
    return await registry_searches.page(database, registry_filters.VERSIONS, _SEARCH, arguments)


async def set_tag(database: Database, arguments: SetTag) -> bytes:
    check(validation._validate_model_name, arguments.name)
    check(validation._validate_model_version_tag, arguments.key, arguments.value)
    values = {"name": arguments.name, "version": arguments.version, "key": arguments.key, "value": arguments.value}
    await database.write(_SET_TAG, values)
    return answers.EMPTY

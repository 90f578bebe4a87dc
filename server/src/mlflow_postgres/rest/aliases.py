"""Aliases of model versions: get the version of one, and set one."""

from __future__ import annotations

from typing import Final, LiteralString

from mlflow.utils import validation

from . import answers, registry_columns
from .arguments import Arguments, Name, Version, check
from .database import Database
from .errors import NotServed
from .registry_columns import IS_THERE, IS_WHOLE, NO_WEBHOOK, WORKSPACE

_GET: Final[LiteralString] = f"""
SELECT {registry_columns.VERSION_WITH_ALIASES}
  FROM registered_model_aliases AS asked JOIN model_versions AS version USING (workspace, name, version)
 WHERE asked.workspace = {WORKSPACE} AND asked.name = %(name)s::varchar AND asked.alias = %(alias)s::varchar
   AND {IS_THERE} AND {IS_WHOLE}
"""

_SET: Final[LiteralString] = f"""
INSERT INTO registered_model_aliases (workspace, name, alias, version)
SELECT workspace, name, %(alias)s::varchar, version FROM model_versions AS version
 WHERE workspace = {WORKSPACE} AND name = %(name)s::varchar AND version.version = %(version)s::integer
   AND {IS_THERE} AND {NO_WEBHOOK}
ON CONFLICT (workspace, name, alias) DO UPDATE SET version = excluded.version
RETURNING 1
"""


class Get(Arguments):
    name: Name
    alias: Name


class Set(Arguments):
    name: Name
    alias: Name
    version: Version


async def get(database: Database, arguments: Get) -> bytes:
    _check(arguments)
    rows = await database.read(_GET, {"name": arguments.name, "alias": arguments.alias})
    if len(rows) != 1:
        raise NotServed
    return answers.ascii_json(b'{"model_version":%b}' % rows[0][0])


async def set_alias(database: Database, arguments: Set) -> bytes:
    _check(arguments)
    values = {"name": arguments.name, "alias": arguments.alias, "version": arguments.version}
    await database.write(_SET, values)
    return answers.EMPTY


def _check(arguments: Get | Set) -> None:
    """Raise `NotServed` for a name that MLflow rejects, or understands in a way of its own, such as `latest`."""
    check(validation._validate_model_name, arguments.name)
    check(validation._validate_model_alias_name, arguments.alias)
    check(validation._validate_model_alias_name_reserved, arguments.alias)

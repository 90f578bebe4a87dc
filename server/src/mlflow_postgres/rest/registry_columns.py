"""A model version's and a registered model's JSON, as expressions over `model_versions AS version` and
`registered_models AS model`.

MLflow has everything in one workspace, as long as workspaces are off.
"""

from __future__ import annotations

from typing import Final, LiteralString

WORKSPACE: Final[LiteralString] = "'default'"

# Rows of a deleted version stay.
IS_THERE: Final[LiteralString] = "version.current_stage <> 'Deleted_Internal'"

IS_THERE_OR_UNKNOWN: Final[LiteralString] = "version.current_stage IS DISTINCT FROM 'Deleted_Internal'"
"""Where MLflow compares in Python: a version without a stage counts."""

# MLflow tells webhooks of what is written.
NO_WEBHOOK: Final[LiteralString] = "NOT EXISTS (SELECT FROM webhooks WHERE deleted_timestamp IS NULL)"

# MLflow fails on a version that lacks its time, or has another status.
IS_WHOLE: Final[LiteralString] = """
(version.creation_time IS NOT NULL
 AND (version.status IS NULL OR version.status IN ('PENDING_REGISTRATION', 'FAILED_REGISTRATION', 'READY')))
"""

_VERSION: Final[LiteralString] = """
json_strip_nulls(json_build_object(
  'name', version.name,
  'version', version.version::text,
  'creation_timestamp', version.creation_time,
  'last_updated_timestamp', version.last_updated_time,
  'user_id', version.user_id,
  'current_stage', version.current_stage,
  'description', version.description,
  'source', version.source,
  'run_id', version.run_id,
  'status', version.status,
  'status_message', nullif(version.status_message, ''),
  'tags', (SELECT json_agg(json_build_object('key', tag.key, 'value', tag.value)) FROM model_version_tags AS tag
            WHERE tag.workspace = version.workspace AND tag.name = version.name AND tag.version = version.version),
  'run_link', version.run_link{aliases}))
"""
VERSION: Final = _VERSION.format(aliases="")
"""Without aliases, as in a search and in a registered model."""
VERSION_WITH_ALIASES: Final = _VERSION.format(
    aliases=""",
  'aliases', (SELECT json_agg(given.alias) FROM registered_model_aliases AS given
               WHERE given.workspace = version.workspace AND given.name = version.name
                 AND given.version = version.version)"""
)

MODEL: Final[LiteralString] = """
json_strip_nulls(json_build_object(
  'name', model.name,
  'creation_timestamp', model.creation_time,
  'last_updated_timestamp', nullif(model.last_updated_time, 0),
  'description', nullif(model.description, ''),
  'latest_versions', latest.versions,
  'tags', (SELECT json_agg(json_build_object('key', tag.key, 'value', tag.value)) FROM registered_model_tags AS tag
            WHERE tag.workspace = model.workspace AND tag.name = model.name),
  'aliases', (SELECT json_agg(json_build_object('alias', given.alias, 'version', given.version::text))
                FROM registered_model_aliases AS given
               WHERE given.workspace = model.workspace AND given.name = model.name)))
"""

_LATEST: Final[LiteralString] = """
LATERAL (
  SELECT json_agg({version} ORDER BY version.version) AS versions, coalesce(bool_and({is_whole}), TRUE) AS are_whole
    FROM (SELECT DISTINCT ON (version.current_stage) version.* FROM model_versions AS version
           WHERE version.workspace = model.workspace AND version.name = model.name AND {is_there}
           ORDER BY version.current_stage, version.version DESC) AS version
   WHERE {condition}
) AS latest
"""


def latest(version: str = VERSION, is_there: str = IS_THERE, condition: str = "TRUE") -> str:
    """The latest version of each stage of `model`, those that meet a condition."""
    return _LATEST.format(version=version, is_whole=IS_WHOLE, is_there=is_there, condition=condition)

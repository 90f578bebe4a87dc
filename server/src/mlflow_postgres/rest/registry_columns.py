"""A model version's and a registered model's JSON, as expressions over `model_versions AS version` and
`registered_models AS model`.

MLflow has everything in one workspace, as long as workspaces are off.
"""

from __future__ import annotations

from typing import Final, LiteralString

from .json_texts import a_list, an_object, quoted, text

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

_A_TAG: Final = an_object({"key": text("tag.key"), "value": text("tag.value")})
_VERSION: Final = {
    "name": text("version.name"),
    "version": quoted("version.version"),
    "creation_timestamp": "version.creation_time",
    "last_updated_timestamp": "version.last_updated_time",
    "user_id": text("version.user_id"),
    "current_stage": text("version.current_stage"),
    "description": text("version.description"),
    "source": text("version.source"),
    "run_id": text("version.run_id"),
    "status": text("version.status"),
    "status_message": text("nullif(version.status_message, '')"),
    "tags": f"""(SELECT {a_list(_A_TAG)} FROM model_version_tags AS tag
      WHERE tag.workspace = version.workspace AND tag.name = version.name AND tag.version = version.version)""",
    "run_link": text("version.run_link"),
}
VERSION: Final = an_object(_VERSION)
"""Without aliases, as in a search and in a registered model."""
VERSION_WITH_ALIASES: Final = an_object(
    {
        **_VERSION,
        "aliases": f"""(SELECT {a_list(text("given.alias"))} FROM registered_model_aliases AS given
          WHERE given.workspace = version.workspace AND given.name = version.name
            AND given.version = version.version)""",
    }
)

_AN_ALIAS: Final = an_object({"alias": text("given.alias"), "version": quoted("given.version")})
MODEL: Final = an_object(
    {
        "name": text("model.name"),
        "creation_timestamp": "model.creation_time",
        "last_updated_timestamp": "nullif(model.last_updated_time, 0)",
        "description": text("nullif(model.description, '')"),
        "latest_versions": "latest.versions",
        "tags": f"""(SELECT {a_list(_A_TAG)} FROM registered_model_tags AS tag
          WHERE tag.workspace = model.workspace AND tag.name = model.name)""",
        "aliases": f"""(SELECT {a_list(_AN_ALIAS)} FROM registered_model_aliases AS given
          WHERE given.workspace = model.workspace AND given.name = model.name)""",
    }
)


def latest(version: str = VERSION, is_there: str = IS_THERE, condition: str = "TRUE") -> str:
    """The latest version of each stage of `model`, those that meet a condition."""
    return f"""
LATERAL (
  SELECT {a_list(version, "ORDER BY version.version")} AS versions, coalesce(bool_and({IS_WHOLE}), TRUE) AS are_whole
    FROM (SELECT DISTINCT ON (version.current_stage) version.* FROM model_versions AS version
           WHERE version.workspace = model.workspace AND version.name = model.name AND {is_there}
           ORDER BY version.current_stage, version.version DESC) AS version
   WHERE {condition}
) AS latest
"""

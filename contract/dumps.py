"""The dumps in the backups volume, as `dumps` of MLflow's image lists them: a JSON array, newest first."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Final

BEFORE_ROLLBACK: Final = "before-rollback-"
"""The prefix of the names of dumps that a rollback made."""


@dataclass(frozen=True, kw_only=True)
class Dump:
    """A pg_dump archive, as the JSON file beside it describes it."""

    name: str
    created: str
    """UTC, as ISO 8601."""
    database: str
    from_revision: str | None
    to_revision: str | None
    from_version: str | None
    """The version of MLflow that used the database; None if no schema job had recorded it."""
    to_version: str | None
    size: int
    """Bytes of the archive when it was made."""
    sha256: str


@dataclass(frozen=True, kw_only=True)
class ListedDump(Dump):
    """A dump, and the present size of its archive."""

    bytes_there: int | None
    """Bytes; None if the archive is missing."""


def dump(dumps: Iterable[ListedDump]) -> str:
    return json.dumps([asdict(each) for each in dumps], indent=2)


def parse(text: str) -> list[ListedDump]:
    """The dumps of a JSON list. Unknown keys of a newer image are ignored. Raises `ValueError` for any other text."""
    names = [each.name for each in fields(ListedDump)]
    try:
        return [
            # An older image lists only dumps whose archive exists, without its present size.
            ListedDump(**{name: {"bytes_there": each["size"], **each}[name] for name in names})
            for each in json.loads(text)
        ]
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a list of dumps: {error}") from error

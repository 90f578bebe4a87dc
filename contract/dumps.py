"""The dumps in the backups volume, as `dumps` of MLflow's image lists them: a JSON array, newest first."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Final

BEFORE_ROLLBACK: Final = "before-rollback-"
"""The names of dumps that a rollback made begin with it."""


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
    """MLflow's version that worked on the database; None when no schema job had recorded one."""
    to_version: str | None
    size: int
    """Bytes of the archive when it was made."""
    sha256: str


@dataclass(frozen=True, kw_only=True)
class ListedDump(Dump):
    """A dump, and what is left of its file."""

    bytes_there: int | None
    """The file's size now; None when there is no file."""


def dump(dumps: Iterable[ListedDump]) -> str:
    return json.dumps([asdict(each) for each in dumps], indent=2)


def parse(text: str) -> list[ListedDump]:
    """Raises `ValueError` for anything but such a list. Unknown keys of a newer image are ignored."""
    names = [each.name for each in fields(ListedDump)]
    try:
        return [
            # An older image lists only the dumps that have their file, without its size now.
            ListedDump(**{name: {"bytes_there": each["size"], **each}[name] for name in names})
            for each in json.loads(text)
        ]
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a list of dumps: {error}") from error

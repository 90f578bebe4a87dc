"""Restores the creation times of assessments of a folder store.

MLflow's conversion reads them from a key that folder stores do not have, and sets all of them to 1970.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

import yaml

from ..errors import Refused

_FILES = ("*/traces/*/assessments/*.yaml", ".trash/*/traces/*/assessments/*.yaml")


def restore(folder: Path, copy: Path) -> None:
    """Set the times of the assessments in the copy from the folder's files.

    Raises `Refused` if a file is damaged.
    """
    with closing(sqlite3.connect(copy)) as connection:
        connection.executemany(
            "UPDATE assessments SET created_timestamp = ?, last_updated_timestamp = ?"
            " WHERE assessment_id = ? AND created_timestamp = 0",
            _times(folder),
        )
        connection.commit()


def _times(folder: Path) -> Iterator[tuple[int, int, str]]:
    for pattern in _FILES:
        for path in sorted(folder.glob(pattern)):
            meta = _read(path, folder)
            name = meta.get("assessment_id")
            if made := milliseconds(meta.get("create_time")):
                changed = milliseconds(meta.get("last_update_time")) or made
                yield made, changed, name if isinstance(name, str) else path.stem


def _read(path: Path, folder: Path) -> dict[object, object]:
    try:
        meta = yaml.safe_load(path.read_text()) or {}
    except (yaml.YAMLError, ValueError, RecursionError):
        # ValueError: not UTF-8, or an impossible date. RecursionError: endlessly nested lists.
        meta = None
    if not isinstance(meta, dict):
        raise Refused(
            "source-not-yaml",
            f"{str(path.relative_to(folder))!r} in the store is not the YAML of an assessment",
            rule="mend that file, or move it away",
            remedy="the same import again",
        )
    return meta


def milliseconds(moment: object) -> int | None:
    """A time of a YAML file in milliseconds of Unix time; None for any other value."""
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            return None
    if not isinstance(moment, datetime):
        return None
    # The first and last days of datetime cannot be converted to every time zone.
    with suppress(OverflowError):
        return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    return None

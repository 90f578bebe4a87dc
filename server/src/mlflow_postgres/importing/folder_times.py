"""When assessments in a folder were made: MLflow's conversion looks for that under a name that its folders do not use,
and gives all of them the year 1970."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

import yaml

from ..migration.job import Refused

_FILES = ("*/traces/*/assessments/*.yaml", ".trash/*/traces/*/assessments/*.yaml")


def mend(folder: Path, copy: Path) -> None:
    """Put the times of the folder's assessments into the copy, where the conversion has lost them.

    Raises `Refused` at a file that is damaged.
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
        # The last two: a text that is not UTF-8 or a day that there is not, and lists in lists without an end.
        meta = None
    if not isinstance(meta, dict):
        raise Refused(
            f"{str(path.relative_to(folder))!r} in the store is not YAML of an assessment; nothing was changed. "
            "Mend that file, or move it away"
        )
    return meta


def milliseconds(moment: object) -> int | None:
    """A moment as YAML has it, since 1970; None for what is none."""
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            return None
    if not isinstance(moment, datetime):
        return None
    # Of the first and the last day that there is, another zone may have none.
    with suppress(OverflowError):
        return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    return None

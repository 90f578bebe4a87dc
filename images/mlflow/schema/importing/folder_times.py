"""When assessments in a folder were made: MLflow's conversion looks for that under a name that its folders do not use,
and gives all of them the year 1970."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

_FILES = ("*/traces/*/assessments/*.yaml", ".trash/*/traces/*/assessments/*.yaml")


def mend(folder: Path, copy: Path) -> None:
    """Put the times of the folder's assessments into the copy, where the conversion has lost them."""
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
            meta = yaml.safe_load(path.read_text()) or {}
            if made := milliseconds(meta.get("create_time")):
                yield made, milliseconds(meta.get("last_update_time")) or made, meta.get("assessment_id") or path.stem


def milliseconds(moment: Any) -> int | None:
    """A moment as YAML has it, since 1970; None for what is none."""
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            return None
    if not isinstance(moment, datetime):
        return None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)

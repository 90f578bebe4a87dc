"""Removes artifacts that an import has copied without committing its rows.

Every import records its target folders before it copies. However it ends, the next import reads the record.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..migration.dump import PARTIAL
from . import artifacts
from .plans import DEFAULT
from .target import Connection

_NAME = "copied-{}.json"

LOCK = int.from_bytes(b"mlflowim", "big")
"""The key of the advisory lock that the transaction of an import holds until its end."""

_OWNERS = (("runs", "run_uuid"), ("logged_models", "model_id"), ("trace_info", "request_id"))
"""The tables and columns of the ids in the names of artifact folders."""


def record(volume: Path, folders: Iterable[Path], experiments: Iterable[int], where: Path) -> Path:
    """Record the folders that are about to be created, and their experiments. Returns the file of the record.

    Existing folders are left out: they belong to others.
    """
    made = [str(folder.relative_to(volume)) for folder in folders if not os.path.lexists(folder)]
    file = where / _NAME.format(uuid.uuid4().hex)
    partial = where / f"{PARTIAL}{file.name}"
    with partial.open("w") as written:
        json.dump({"experiments": sorted(experiments), "folders": made}, written)
        written.flush()
        os.fsync(written.fileno())
    partial.rename(file)
    number = os.open(where, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
    return file


def hold_lock(connection: Connection) -> None:
    """Hold the lock until this transaction ends: until then it may be committed."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))


def remove(connection: Connection, volume: Path, where: Path) -> None:
    """Remove the artifacts of imports that were not committed. No other import may be running."""
    (volume / artifacts.PARTIAL).unlink(missing_ok=True)
    records = sorted(where.glob(_NAME.format("*")))
    if not records:
        return
    with connection.transaction():
        # The transaction of a killed import may still be open, or be committing. The server will end it.
        connection.execute("SET LOCAL lock_timeout = 0")
        hold_lock(connection)
        for file in records:
            copied = json.loads(file.read_text())
            if not _was_committed(connection, copied):
                for folder in copied["folders"]:
                    _remove(volume, Path(folder))
            file.unlink()


def _was_committed(connection: Connection, copied: Mapping[str, Sequence[Any]]) -> bool:
    """Whether the import was committed: whether one of its rows exists."""
    # The default experiment always exists. The other ids were reserved for this import.
    if new := [number for number in copied["experiments"] if number != DEFAULT]:
        return _has(connection, "experiments", "experiment_id", new)
    # "0/run/artifacts" or "0/models/id/artifacts".
    names = [Path(folder).parent.name for folder in copied["folders"]]
    # A name that is not UTF-8 cannot be an id in the database.
    known = [name for name in names if name == name.encode(errors="replace").decode()]
    return any(_has(connection, table, column, known) for table, column in _OWNERS)


def _has(connection: Connection, table: str, column: str, values: Sequence[object]) -> bool:
    query = f"SELECT 1 FROM public.{table} WHERE {column} = ANY(%s) LIMIT 1"
    return connection.execute(query.encode(), (list(values),)).fetchone() is not None


def _remove(volume: Path, folder: Path) -> None:
    with suppress(FileNotFoundError):
        shutil.rmtree(volume / folder)
    emptied = [each for each in folder.parents if each.parts]
    if emptied[-1].name == str(DEFAULT):
        # The other folders belong to the default experiment: the server may be using them.
        emptied = emptied[:1]
    for each in emptied:
        with suppress(OSError):
            (volume / each).rmdir()

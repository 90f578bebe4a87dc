"""Artifacts that an import has copied and whose rows never came. Which ones are copied is written down before: whatever
ends an import, the next one removes them."""

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
from ..migration.job import BACKUPS
from . import artifacts
from .plans import DEFAULT
from .target import Connection

_NAME = "copied-{}.json"

LOCK = int.from_bytes(b"mlflowim", "big")
"""Of PostgreSQL's advisory locks the one that the transaction of an import holds until its end."""

_OWNERS = (("runs", "run_uuid"), ("logged_models", "model_id"), ("trace_info", "request_id"))
"""What folders of artifacts are named after."""


def write_down(volume: Path, folders: Iterable[Path], experiments: Iterable[int], where: Path = BACKUPS) -> Path:
    """Say which folders of a volume are about to be made, and for which experiments; where it is said.

    What is there already is somebody else's, and is not among them.
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


def hold(connection: Connection) -> None:
    """Say that this transaction may yet be committed, until it ends."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))


def remove(connection: Connection, volume: Path, where: Path = BACKUPS) -> None:
    """Remove what ended imports have copied in vain. No other import may be at work."""
    (volume / artifacts.PARTIAL).unlink(missing_ok=True)
    written = sorted(where.glob(_NAME.format("*")))
    if not written:
        return
    with connection.transaction():
        # One whose container was killed may be committing at this moment: the server ends it by itself.
        connection.execute("SET LOCAL lock_timeout = 0")
        hold(connection)
        for file in written:
            copied = json.loads(file.read_text())
            if not _came(connection, copied):
                for folder in copied["folders"]:
                    _remove(volume, Path(folder))
            file.unlink()


def _came(connection: Connection, copied: Mapping[str, Sequence[Any]]) -> bool:
    """Whether the rows are there that the files belong to: all of them came, or none."""
    # The first experiment is there anyway; the ids of all others are nobody else's.
    if new := [number for number in copied["experiments"] if number != DEFAULT]:
        return _has(connection, "experiments", "experiment_id", new)
    # "0/run/artifacts" or "0/models/id/artifacts".
    names = [Path(folder).parent.name for folder in copied["folders"]]
    # What is no UTF-8 is the name of a folder alone.
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
        # The server may be making something in the others.
        emptied = emptied[:1]
    for each in emptied:
        with suppress(OSError):
            (volume / each).rmdir()

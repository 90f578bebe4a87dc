"""Dumps of the database in the backups volume. Each is a pg_dump archive with a JSON file, its sidecar.

A dump gets its name when it is complete. Files of a killed job are named .partial, and the next job removes them.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path

from contract.dumps import Dump, ListedDump

from ..errors import Failed, Refused
from .job import BACKUPS
from .programs import run

PARTIAL = ".partial-"
_NAME = re.compile(r"before-[A-Za-z0-9.]+-\d{8}T\d{6}Z")
_ANOTHER = "make rollback DUMP=NAME, where NAME is another dump"


class _ProgramError(Exception):
    """pg_dump or pg_restore failed. The message is its own."""


def name_at(reason: str, moment: datetime) -> str:
    """A dump's name: the reason (the new version of MLflow, or 'rollback') and the time."""
    return f"before-{reason}-{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def list_dumps(folder: Path = BACKUPS, *, lost: bool = False) -> list[ListedDump]:
    """The dumps, newest first. With `lost`, includes those whose archive is missing.

    `bytes_there` is the present size of the archive; None if it is missing.
    """
    found = []
    for path in folder.glob("before-*.json"):
        archive = path.with_suffix(".dump")
        size = archive.stat().st_size if archive.exists() else None
        if lost or size is not None:
            found.append(_read(path, size))
    return sorted(found, key=lambda each: each.created, reverse=True)


def _read(path: Path, bytes_there: int | None) -> ListedDump:
    found = json.loads(path.read_text())
    # A newer image may have written more keys.
    return ListedDump(**{each.name: found[each.name] for each in fields(Dump)}, bytes_there=bytes_there)


def create(
    *,
    uri: str,
    server_version: int,
    database: str,
    database_bytes: int,
    reason: str,
    revisions: tuple[str | None, str | None],
    versions: tuple[str | None, str | None],
    folder: Path = BACKUPS,
) -> Dump:
    """Dump MLflow's tables and our record of versions. Raises `Failed` if that fails, and keeps no file then.

    `revisions` and `versions` are (from, to), as in the sidecar.
    """
    moment = datetime.now(UTC)
    name = name_at(reason, moment)
    partial = folder / f"{PARTIAL}{name}.dump"
    try:
        remove_partial_files(folder)
        _archive(uri, server_version, partial)
        sidecar = Dump(
            name=name,
            created=moment.isoformat(timespec="seconds"),
            database=database,
            from_revision=revisions[0],
            to_revision=revisions[1],
            from_version=versions[0],
            to_version=versions[1],
            size=partial.stat().st_size,
            sha256=checksum(partial),
        )
        note = folder / f"{PARTIAL}{name}.json"
        note.write_text(json.dumps(asdict(sidecar), indent=2) + "\n")
        _rename([(note, folder / f"{name}.json"), (partial, folder / f"{name}.dump")])
    except (OSError, _ProgramError) as error:
        remove_partial_files(folder)
        free = shutil.disk_usage(folder).free
        raise Failed(
            "dump-failed",
            f"the dump before the change failed ({error})",
            rule=f"the backups volume has {free} bytes free, the database has {database_bytes} bytes uncompressed; "
            "nothing was changed",
            remedy="more space in the backups volume, then make up",
        ) from error
    return sidecar


def verify(name: str, server_version: int, folder: Path = BACKUPS) -> tuple[Path, list[str]]:
    """A dump's archive and its table of contents. Raises `Refused` if it is missing or damaged."""
    names = [each.name for each in list_dumps(folder)]
    if not _NAME.fullmatch(name) or name not in names:
        raise Refused(
            "dump-missing",
            f"there is no dump '{name}'",
            rule=f"the backups volume holds {', '.join(names) or 'none'}",
            remedy=f"make rollback{f' DUMP={names[0]}' if names else ''}",
        )
    archive = folder / f"{name}.dump"
    sidecar = json.loads((folder / f"{name}.json").read_text())
    if checksum(archive) != sidecar["sha256"]:
        raise Refused("dump-damaged", f"the dump {name} is damaged: its checksum differs", remedy=_ANOTHER)
    contents = run(["pg_restore", "--list", str(archive)], server_version)
    if not contents.succeeded:
        raise Refused("dump-damaged", f"the dump {name} cannot be read: {contents.reason}", remedy=_ANOTHER)
    return archive, contents.output.splitlines()


def remove_partial_files(folder: Path = BACKUPS) -> None:
    """Remove the partial files of a killed job."""
    for path in folder.glob(f"{PARTIAL}*"):
        path.unlink()


def checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _archive(uri: str, server_version: int, path: Path) -> None:
    # Two schemas, not the whole database: the owner cannot restore extensions, which belong to a superuser.
    dumped = run(
        [
            *("pg_dump", "--format=custom", "--no-password", "--lock-wait-timeout=60s"),
            *("--schema=public", "--schema=mlflow_postgres", f"--file={path}", f"--dbname={uri}"),
        ],
        server_version,
    )
    if not dumped.succeeded:
        raise _ProgramError(dumped.reason)
    contents = run(["pg_restore", "--list", str(path)], server_version)
    if not contents.succeeded:
        raise _ProgramError(contents.reason)


def _rename(renames: Sequence[tuple[Path, Path]]) -> None:
    """Rename complete files to their final names, and sync them to disk."""
    for partial, final in renames:
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.rename(final)
    folder = os.open(renames[0][1].parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

"""Decides which artifacts are copied, and which addresses change."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from contract.errors import REMEDY

from ..errors import Refused
from . import copies, folders
from .addresses import Addresses, is_server_address, new_location, renumbered_location
from .options import Options
from .progress import emit


@dataclass(frozen=True, kw_only=True)
class ArtifactMoves:
    """The artifacts to copy, and the new addresses."""

    addresses: Addresses
    folders: Sequence[tuple[Path, int]]
    """The artifact folders of experiments to copy, each with the experiment's new id."""


def plan_moves(copy: sqlite3.Connection, ids: Mapping[int, int], options: Options) -> ArtifactMoves:
    """Decide for the artifact location of every experiment in the copy. `ids` maps old to new experiment ids."""
    moved: dict[str, str] = {}
    copied: list[tuple[Path, int]] = []
    for number, location in copy.execute("SELECT experiment_id, artifact_location FROM experiments ORDER BY 1"):
        if not location or location in moved:
            continue
        folder = options.artifact_folders.get(location)
        if folder and not folders.is_folder(folder):
            # A running server may have removed it since the command has found it.
            emit(note=f"{location!r} is no longer a folder, or is a symbolic link: its address is unchanged")
        elif folder:
            copied.append((folder, ids[number]))
            moved[location] = new_location(ids[number])
        elif location in options.empty_locations:
            moved[location] = new_location(ids[number])
        elif is_server_address(location):
            moved[location] = renumbered_location(location, number, ids[number])
    return ArtifactMoves(addresses=Addresses(moved), folders=copied)


def report_uncopied(copy: sqlite3.Connection, options: Options) -> None:
    """Report the artifacts that are not copied. Raises `Refused` if the old server may have artifacts.

    The rows do not show whether it has. Without the refusal the runs would be imported, and no second import could add
    their artifacts. `--leave-artifacts` allows it.
    """
    known = {*options.artifact_folders, *options.empty_locations}
    rows = copy.execute("SELECT experiment_id, name, artifact_location FROM experiments ORDER BY 1").fetchall()
    others = [(number, name, location) for number, name, location in rows if location and location not in known]
    if staying := [location for _, _, location in others if not is_server_address(location)]:
        emit(note=f"the artifacts of {len(staying):,} experiment(s) stay where they are, such as {staying[0]}")
    lost = [
        (name, location)
        for number, name, location in others
        if is_server_address(location) and copies.may_have_artifacts(copy, number)
    ]
    if not lost:
        return
    name, location = lost[0]
    refusal = Refused(
        "artifacts-not-given",
        f"the old server has the artifacts of {len(lost):,} experiment(s), such as {name!r} ({location}), and no "
        "given folder contains them",
        remedy='IMPORT="--artifacts-from PATH", where PATH is the old server\'s --artifacts-destination, or '
        'its folder mlartifacts; or IMPORT="--artifacts leave", if there are none or they need not be imported',
    )
    if options.leave_artifacts:
        emit(note=f"{refusal.seen}: they are not imported")
    elif options.dry_run:
        emit(note=f"{refusal.seen}: the import would be refused{REMEDY}{refusal.remedy}")
    else:
        raise refusal

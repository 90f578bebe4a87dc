"""What becomes of the artifacts: which are copied, which stay, and which addresses follow from that."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..migration.job import Refused
from . import copies, folders
from .addresses import Addresses, here, of_a_server, renumbered
from .options import Order
from .progress import tell


@dataclass(frozen=True, kw_only=True)
class Moves:
    """What becomes of the artifacts."""

    addresses: Addresses
    folders: Sequence[tuple[Path, int]]
    """Those of experiments that are copied, with the experiments' ids here."""


def moves(copy: sqlite3.Connection, ids: Mapping[int, int], order: Order) -> Moves:
    """Which artifacts are copied, and what becomes of all addresses."""
    moved: dict[str, str] = {}
    copied: list[tuple[Path, int]] = []
    for number, location in copy.execute("SELECT experiment_id, artifact_location FROM experiments ORDER BY 1"):
        if not location or location in moved:
            continue
        folder = order.places.get(location)
        if folder and not folders.is_folder(folder):
            # A live store may lose it after it was looked for.
            tell(note=f"{location!r} is not a folder any more, or is a link: its address stays as it is")
        elif folder:
            copied.append((folder, ids[number]))
            moved[location] = here(ids[number])
        elif location in order.empty:
            moved[location] = here(ids[number])
        elif of_a_server(location):
            moved[location] = renumbered(location, number, ids[number])
    return Moves(addresses=Addresses(moved), folders=copied)


def say_what_stays(copy: sqlite3.Connection, order: Order) -> None:
    """Which artifacts do not come along. Refused when nobody has said that an old server's may stay behind.

    Whether it has any is not in the rows: a run does not say. And once the runs are here, they are not imported again.
    """
    known = {*order.places, *order.empty}
    rows = copy.execute("SELECT experiment_id, name, artifact_location FROM experiments ORDER BY 1").fetchall()
    others = [(number, name, location) for number, name, location in rows if location and location not in known]
    if staying := [location for _, _, location in others if not of_a_server(location)]:
        tell(note=f"{len(staying):,} experiment(s) keep their artifacts where they are, such as {staying[0]}")
    lost = [
        (name, location)
        for number, name, location in others
        if of_a_server(location) and copies.may_have_artifacts(copy, number)
    ]
    if not lost:
        return
    name, location = lost[0]
    said = (
        f"{len(lost):,} experiment(s) have their artifacts with the old server, such as {name!r} ({location}), and no "
        "folder that was looked into has them"
    )
    mend = (
        'IMPORT="--artifacts-from PATH", where PATH is what the old server was given as --artifacts-destination, or '
        'its folder mlartifacts; or with IMPORT="--artifacts leave", when there are none or they are to stay there'
    )
    if order.leave_artifacts:
        tell(note=f"{said}: the files do not come along")
    elif order.dry_run:
        tell(note=f"{said}: the import would be refused. Mend it with: {mend}")
    else:
        raise Refused(f"{said}; nothing was changed. Mend it with: {mend}")

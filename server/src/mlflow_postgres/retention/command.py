"""`collect-deleted DAYS`: remove, day after day, what was deleted so many days ago. It does not end by itself."""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from contract import paths

from ..migration.connections import LOCK, connect, value
from ..migration.job import Failed
from ..migration.programs import without_rows
from .due import KINDS, MOST, Connection, due, used
from .removal import Removal, removal, remove
from .uploads import remove_unfinished

STORE = Path(paths.ARTIFACTS)
# The service's probe looks for these: the first is there from the first look at the database on, the second as long as
# the last round that ended has not done all of its work.
STATE = Path(paths.HOME)
READY, FAILED = "collecting", "collecting-failed"

_DAY = 24 * 3600
# Seconds until the next round: after one that was cut short, that could not work, that could not remove something.
_SOON = 5
_AGAIN = 60
_LATER = 600


class PutOff(Exception):
    """Somebody else works on the whole database."""


@dataclass
class Round:
    """What became of the things that were due."""

    removed: int = 0
    kept: int = 0
    failed: int = 0
    cut_short: bool = False
    """More is due than one round may take."""


@dataclass
class Pass:
    """How far the rounds have come. One that was cut short is gone on with by the next, from where it ended."""

    after: dict[str, str] = field(default_factory=dict)
    """The last id that was tried, by the name of its kind."""
    failed: int = 0


def work(uri: str, days: float, so_far: Pass, store: Path = STORE, state: Path = STATE) -> Round:
    """One round. Raises `PutOff`, `Failed` or `psycopg.Error` when it could not be carried through."""
    before = int((time.time() - days * _DAY) * 1000)
    done = Round()
    with connect(uri) as connection:
        # It is ready: a first round may take longer than who brings a stack up waits for it.
        (state / READY).touch()
        # The server's role has five minutes: who removes more files than that would be cut off from rows that stay.
        connection.execute("SET idle_in_transaction_session_timeout = 0")
        # The schema job's own lock: no other round, no migration, no import and no restore at the same time.
        if not value(connection, "SELECT pg_try_advisory_lock(%s)", LOCK):
            raise PutOff
        plans = [removal(connection, kind) for kind in KINDS]
        for plan in plans:
            _all_of(connection, plan, before, so_far, store, done)
    unfinished = remove_unfinished(store, time.time() - _DAY)
    if unfinished.files:
        say(f"removed {unfinished.files} files of {unfinished.size} bytes that uploads left when they were cut short")
    say(f"round done: {done.removed} removed, {done.kept} kept, {done.failed} failed")
    return done


def _all_of(connection: Connection, plan: Removal, before: int, so_far: Pass, store: Path, done: Round) -> None:
    kind = plan.kind
    for thing in used(connection, kind, before):
        done.kept += 1
        say(f"{kind.name} {thing.id}: kept, for {thing.used_by} of the registered models is made of its files")
    things = due(connection, kind, before, so_far.after.get(kind.name, ""))
    done.cut_short |= len(things) == MOST
    for thing in things:
        name = f"{kind.name} {thing.id}"
        so_far.after[kind.name] = thing.id
        try:
            if said := remove(connection, plan, before, thing, store):
                done.removed += 1
                say(f"{name}: {said}")
        except (psycopg.Error, OSError) as error:
            # One that cannot go does not keep the others; without a connection none can.
            if connection.closed:
                raise
            done.failed += 1
            say(f"{name}: not removed: {_reason(error)}")


def say(text: str) -> None:
    print(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {text}", flush=True)


def _reason(error: Exception) -> str:
    return " ".join(without_rows(str(error)).split())


def once(uri: str, days: float, so_far: Pass, store: Path = STORE, state: Path = STATE) -> int:
    """One round, and in how many seconds the next one is due."""
    failed = state / FAILED
    try:
        done = work(uri, days, so_far, store, state)
    except PutOff:
        say("put off: a schema job, an import or another round works on the database")
        return _AGAIN
    except (Failed, psycopg.Error, OSError) as error:
        say(f"round failed: {_reason(error)}")
        failed.write_text(_reason(error))
        return _AGAIN
    so_far.failed += done.failed
    if so_far.failed:
        failed.write_text(f"{so_far.failed} could not be removed: the log says why")
    if done.cut_short:
        return _SOON
    all_removed = not so_far.failed
    so_far.after, so_far.failed = {}, 0
    if not all_removed:
        return _LATER
    failed.unlink(missing_ok=True)
    return _DAY


def main() -> None:
    parser = argparse.ArgumentParser(prog="collect-deleted", description=__doc__)
    parser.add_argument("days", type=int, help="how long ago it must have been deleted")
    days = parser.parse_args().days
    uri = os.environ["MLFLOW_BACKEND_STORE_URI"].replace("postgresql+mlflow://", "postgresql://", 1)
    so_far = Pass()
    while True:
        pause = once(uri, days, so_far)
        say(f"the next round is in {pause} s")
        time.sleep(pause)

"""`collect-deleted DAYS`: remove what was deleted at least DAYS days ago. Runs until it is stopped, once a day."""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from contract import paths

from ..errors import Failed
from ..migration.connections import LOCK, connect, value
from ..migration.programs import without_rows
from .items import KINDS, LIMIT, Connection, due, used
from .removal import Removal, plan_removal, remove
from .uploads import remove_unfinished

STORE = Path(paths.ARTIFACTS)
# Files that the service's health check reads. The first exists once the database was reached, the second while the last
# round has left something undone.
STATE = Path(paths.HOME)
READY, FAILED = "collecting", "collecting-failed"

_DAY = 24 * 3600
# Seconds until the next round: after one that reached its limit, that failed, that could not remove an item.
_AFTER_LIMIT = 5
_AFTER_FAILED_ROUND = 60
_AFTER_FAILED_ITEM = 600


class Postponed(Exception):
    """A schema job, an import or another round holds the lock of the database."""


@dataclass
class Round:
    """The result of a round: numbers of items."""

    removed: int = 0
    kept: int = 0
    failed: int = 0
    cut_short: bool = False
    """Whether the round reached its limit of items."""


@dataclass
class Progress:
    """The progress over several rounds. A round starts where the one before it reached its limit."""

    after: dict[str, str] = field(default_factory=dict)
    """The last id that was tried, by the name of the kind."""
    failed: int = 0


def run_round(uri: str, days: float, progress: Progress, store: Path = STORE, state: Path = STATE) -> Round:
    """Run one round. Raises `Postponed`, `Failed` or `psycopg.Error` if it cannot be completed."""
    before = int((time.time() - days * _DAY) * 1000)
    done = Round()
    with connect(uri) as connection:
        # Before the round, which may take longer than `pulumi up` waits for the service.
        (state / READY).touch()
        # The server's role has a limit of five minutes. Removing many files takes longer, and the transaction would be
        # ended after its files are gone.
        connection.execute("SET idle_in_transaction_session_timeout = 0")
        # The schema job's lock: excludes other rounds, migrations, imports and restores.
        if not value(connection, "SELECT pg_try_advisory_lock(%s)", LOCK):
            raise Postponed
        plans = [plan_removal(connection, kind) for kind in KINDS]
        for plan in plans:
            _remove_kind(connection, plan, before, progress, store, done)
    unfinished = remove_unfinished(store, time.time() - _DAY)
    if unfinished.files:
        log(f"removed {unfinished.files} files of interrupted uploads ({unfinished.size} bytes)")
    log(f"round done: {done.removed} removed, {done.kept} kept, {done.failed} failed")
    return done


def _remove_kind(
    connection: Connection, plan: Removal, before: int, progress: Progress, store: Path, done: Round
) -> None:
    kind = plan.kind
    for item in used(connection, kind, before):
        done.kept += 1
        log(f"{kind.name} {item.id}: kept: the registered model {item.used_by} uses its files")
    items = due(connection, kind, before, progress.after.get(kind.name, ""))
    done.cut_short |= len(items) == LIMIT
    for item in items:
        name = f"{kind.name} {item.id}"
        progress.after[kind.name] = item.id
        try:
            if message := remove(connection, plan, before, item, store):
                done.removed += 1
                log(f"{name}: {message}")
        except (psycopg.Error, OSError) as error:
            # A failure of one item does not stop the others. A lost connection does.
            if connection.closed:
                raise
            done.failed += 1
            log(f"{name}: not removed: {_reason(error)}")


def log(text: str) -> None:
    print(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {text}", flush=True)


def _reason(error: Exception) -> str:
    return error.report if isinstance(error, Failed) else " ".join(without_rows(str(error)).split())


def attempt_round(uri: str, days: float, progress: Progress, store: Path = STORE, state: Path = STATE) -> int:
    """Run one round. Returns the seconds until the next one."""
    failed = state / FAILED
    try:
        done = run_round(uri, days, progress, store, state)
    except Postponed:
        log("postponed: a schema job, an import or another round works on the database")
        return _AFTER_FAILED_ROUND
    except (Failed, psycopg.Error, OSError) as error:
        log(f"round failed: {_reason(error)}")
        failed.write_text(_reason(error))
        return _AFTER_FAILED_ROUND
    progress.failed += done.failed
    if progress.failed:
        failed.write_text(f"{progress.failed} could not be removed; the log has the reasons")
    if done.cut_short:
        return _AFTER_LIMIT
    all_removed = not progress.failed
    progress.after, progress.failed = {}, 0
    if not all_removed:
        return _AFTER_FAILED_ITEM
    failed.unlink(missing_ok=True)
    return _DAY


def main() -> None:
    parser = argparse.ArgumentParser(prog="collect-deleted", description=__doc__)
    parser.add_argument("days", type=int, help="how long ago it must have been deleted")
    days = parser.parse_args().days
    uri = os.environ["MLFLOW_BACKEND_STORE_URI"].replace("postgresql+mlflow://", "postgresql://", 1)
    progress = Progress()
    while True:
        pause = attempt_round(uri, days, progress)
        log(f"the next round is in {pause} s")
        time.sleep(pause)

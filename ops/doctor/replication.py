"""Whether copies of the database that others keep are on their way: standbys, slots, and the archive of its log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .check import Verdict, broken, ok, together, warning
from .subject import Subject

MIB = 2**20

# What a switch to the standby would lose: a minute of it, or what one checkpoint may hold.
_LATE = 60
_FAR_BEHIND = 1024 * MIB

# Who only keeps the log, such as pg_receivewal, replays nothing: its lag there only grows.
_STANDBYS = """
SELECT application_name AS name, state,
       coalesce(extract(epoch FROM CASE WHEN replay_lsn IS NULL THEN write_lag ELSE replay_lag END), 0)::float
       AS seconds,
       coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), coalesce(replay_lsn, flush_lsn, write_lsn)), 0)::bigint AS bytes
  FROM pg_stat_replication
"""
_SLOTS = """
SELECT slot_name AS name, active, wal_status AS status,
       format('SELECT pg_drop_replication_slot(%L)', slot_name) AS drop,
       coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint AS bytes
  FROM pg_replication_slots
"""
# Whether there is a command, not which: it may hold a password.
_ARCHIVE = """
SELECT coalesce(nullif(current_setting('archive_command'), ''), nullif(current_setting('archive_library', true), ''))
       IS NOT NULL AS told,
       last_archived_wal AS newest, last_failed_wal AS failed,
       to_char(last_failed_time AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') AS failed_at,
       coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) AS failing
  FROM pg_stat_archiver WHERE current_setting('archive_mode') <> 'off'
"""


def look(subject: Subject) -> Verdict:
    """Every copy is close behind, and nothing keeps the log of changes from being taken back."""
    verdicts = [
        *(standby(each, subject.make_logs) for each in subject.rows(_STANDBYS)),
        *(slot(each, subject.psql(each["drop"])) for each in subject.rows(_SLOTS)),
        *(archive(each, subject.make_logs) for each in subject.rows(_ARCHIVE)),
    ]
    return together(verdicts) if verdicts else ok("none")


def standby(found: Mapping[str, Any], mend: str) -> Verdict:
    """One that reads the log as it is written."""
    seen = f"{found['name']} is {found['seconds']:.0f} s and {found['bytes'] / MIB:.0f} MiB behind"
    if found["seconds"] >= _LATE or found["bytes"] >= _FAR_BEHIND:
        return warning(f"{seen}: it should be less than {_LATE} s and {_FAR_BEHIND // MIB} MiB", mend)
    return ok(seen)


def slot(found: Mapping[str, Any], drop: str) -> Verdict:
    """A place in the log that is kept for somebody."""
    seen = f"the slot {found['name']} holds {found['bytes'] / MIB:.0f} MiB of the log"
    if found["status"] in ("unreserved", "lost"):
        return broken(f"{seen} and is {found['status']}: who reads it must begin anew", drop)
    if not found["active"]:
        return warning(f"{seen} and nobody reads it: the log grows until the disk is full", drop)
    return ok(seen)


def archive(found: Mapping[str, Any], logs: str) -> Verdict:
    """The archive, which the log of changes is copied to before it is taken back."""
    if not found["told"]:
        return warning(
            "archive_mode is on and archive_command is empty: the log grows until the disk is full",
            "bin/pulumi config set --path postgresSettings.archive_command, and the command",
        )
    if found["failing"]:
        return broken(
            f"{found['failed']} could not be archived at {found['failed_at']} UTC: the log grows until it is",
            f"{logs}, which says why",
        )
    return ok(f"archived up to {found['newest'] or 'nothing yet'}")

"""Checks that nothing keeps PostgreSQL from recycling its write-ahead log (WAL), which would fill the disk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .check import Verdict, broken, ok, warning, worst_of
from .subject import Subject

MIB = 2**20

_SLOTS = """
SELECT slot_name AS name, active, wal_status AS status,
       format('SELECT pg_drop_replication_slot(%L)', slot_name) AS drop,
       coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint AS bytes
  FROM pg_replication_slots
"""
# Reads only whether there is a command: the command may contain a password.
_ARCHIVE = """
SELECT coalesce(nullif(current_setting('archive_command'), ''), nullif(current_setting('archive_library', true), ''))
       IS NOT NULL AS has_command,
       last_archived_wal AS newest, last_failed_wal AS failed,
       to_char(last_failed_time AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') AS failed_at,
       coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) AS failing
  FROM pg_stat_archiver WHERE current_setting('archive_mode') <> 'off'
"""


def check(subject: Subject) -> Verdict:
    """Every replication slot has a reader, and the archiver succeeds."""
    verdicts = [
        *(slot(each, subject.psql(each["drop"])) for each in subject.rows(_SLOTS)),
        *(archive(each, subject.make_logs) for each in subject.rows(_ARCHIVE)),
    ]
    return worst_of(verdicts) if verdicts else ok("nothing keeps it")


def slot(found: Mapping[str, Any], drop: str) -> Verdict:
    """The verdict on a replication slot."""
    seen = f"the slot {found['name']} holds {found['bytes'] / MIB:.0f} MiB of WAL"
    if found["status"] in ("unreserved", "lost"):
        return broken(f"{seen} and is {found['status']}: its reader must begin again", drop)
    if not found["active"]:
        return warning(f"{seen} and has no reader: WAL grows until the disk is full", drop)
    return ok(seen)


def archive(found: Mapping[str, Any], logs: str) -> Verdict:
    """The verdict on the archiver, which copies WAL before it is recycled."""
    if not found["has_command"]:
        return warning(
            "archive_mode is on and archive_command is empty: WAL grows until the disk is full",
            "bin/pulumi config set --path postgresSettings.archive_command, and the command",
        )
    if found["failing"]:
        return broken(
            f"{found['failed']} could not be archived at {found['failed_at']} UTC: WAL grows until it is",
            f"{logs}, which says why",
        )
    return ok(f"archived up to {found['newest'] or 'nothing yet'}")

"""Checks that text is still sorted as when the indexes were built.

The operating system defines the order, and another base image may have another order. An index with the old order then
misses rows, and a unique index may accept the same name twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .check import Verdict, ok, warning
from .subject import Subject

# Before 15, a database did not record its version.
_SINCE = 150000
_DATABASE = """
SELECT 'the database' AS name, datcollversion AS made, pg_database_collation_actual_version(oid) AS now,
       format('ALTER DATABASE %I REFRESH COLLATION VERSION', datname) AS refresh
  FROM pg_database WHERE datname = current_database()
"""
# 100 is the database's own collation, which the first query covers.
_COLUMNS = """
SELECT collname AS name, collversion AS made, pg_collation_actual_version(oid) AS now,
       format('ALTER COLLATION %s REFRESH VERSION', oid::regcollation) AS refresh
  FROM pg_collation WHERE oid <> 100 AND oid IN (SELECT attcollation FROM pg_attribute)
"""


def check(subject: Subject) -> Verdict:
    """The recorded versions are those of the libraries in use."""
    (server,) = subject.rows("SELECT current_setting('server_version_num')::int AS version")
    found = subject.rows(_COLUMNS)
    if server["version"] >= _SINCE:
        found = subject.rows(_DATABASE) + found
    outdated = changed(found)
    if not outdated:
        return ok("text is sorted as when the indexes were built")
    seen = ", ".join(f"{each['name']} was created with {each['made']} and runs with {each['now']}" for each in outdated)
    reindex = subject.query("SELECT format('REINDEX DATABASE %I', current_database())").strip()
    return warning(
        f"{seen}: indexes on text may miss rows", subject.psql(reindex, *(each["refresh"] for each in outdated))
    )


def changed(found: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The collations with another version than the recorded one. One without a version, such as C, never changes."""
    return [each for each in found if each["made"] is not None and each["made"] != each["now"]]

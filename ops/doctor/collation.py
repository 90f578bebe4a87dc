"""Whether text is still sorted as it was when the indexes were made.

The rules come with the operating system of the image: another base image may bring others, and an index that was made
under the old ones does not find every row, and may take the same name twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .check import Verdict, ok, warning
from .subject import Subject

# Before 15 a database did not remember its version.
_SINCE = 150000
_DATABASE = """
SELECT 'the database' AS name, datcollversion AS made, pg_database_collation_actual_version(oid) AS now,
       format('ALTER DATABASE %I REFRESH COLLATION VERSION', datname) AS refresh
  FROM pg_database WHERE datname = current_database()
"""
# 100 is the database's own collation.
_COLUMNS = """
SELECT collname AS name, collversion AS made, pg_collation_actual_version(oid) AS now,
       format('ALTER COLLATION %s REFRESH VERSION', oid::regcollation) AS refresh
  FROM pg_collation WHERE oid <> 100 AND oid IN (SELECT attcollation FROM pg_attribute)
"""


def look(subject: Subject) -> Verdict:
    """The versions that the database has noted are those of the libraries that it runs with."""
    (server,) = subject.rows("SELECT current_setting('server_version_num')::int AS version")
    found = subject.rows(_COLUMNS)
    if server["version"] >= _SINCE:
        found = subject.rows(_DATABASE) + found
    apart = changed(found)
    if not apart:
        return ok("text is sorted as when the indexes were made")
    seen = ", ".join(f"{each['name']} was made with {each['made']} and runs with {each['now']}" for each in apart)
    reindex = subject.ask("SELECT format('REINDEX DATABASE %I', current_database())").strip()
    return warning(
        f"{seen}: indexes on text may miss rows", subject.psql(reindex, *(each["refresh"] for each in apart))
    )


def changed(found: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those whose version is not the one that was noted. One that has none, such as C, does not change."""
    return [each for each in found if each["made"] is not None and each["made"] != each["now"]]

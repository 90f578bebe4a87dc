"""Whether whoever comes next still gets a connection to the database."""

from __future__ import annotations

from .check import Verdict, broken, ok, together, warning
from .subject import Subject

# Of all that are not reserved. A pool that grows by one more worker's worth would be at the end.
_MANY = 0.8

_ALL = """
SELECT count(*) AS used, current_setting('max_connections')::int AS most,
       current_setting('superuser_reserved_connections')::int
       + coalesce(current_setting('reserved_connections', true)::int, 0) AS reserved
  FROM pg_stat_activity WHERE backend_type = 'client backend' AND application_name <> 'mlflow-postgres'
"""
_ROLES = """
SELECT rolname AS role, rolconnlimit AS most, count(pid) AS used
  FROM pg_roles LEFT JOIN pg_stat_activity ON usesysid = pg_roles.oid AND backend_type = 'client backend'
 WHERE rolconnlimit >= 0 GROUP BY 1, 2 ORDER BY 1
"""
# Whoever keeps a pool opens those again that it needs.
_END_IDLE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle' AND pid <> pg_backend_pid()"


def look(subject: Subject) -> Verdict:
    """There are connections left: of all, and of those that each role may have."""
    (all_of_them,) = subject.rows(_ALL)
    mend = subject.psql(_END_IDLE)
    return together(
        [
            judge(**all_of_them, mend=mend),
            *(full(**role, mend=mend) for role in subject.rows(_ROLES) if role["used"] >= role["most"]),
        ]
    )


def judge(used: int, most: int, reserved: int, mend: str) -> Verdict:
    """What follows from the number of sessions; `reserved` of `most` are a superuser's."""
    seen = f"{used} of {most} are taken"
    if used >= most - reserved:
        return broken(f"{seen}, and the other {reserved} are a superuser's: nobody else comes in", mend)
    if used >= _MANY * most:
        return warning(f"{seen}: it should be less than {_MANY:.0%}", mend)
    return ok(seen)


def full(role: str, most: int, used: int, mend: str) -> Verdict:
    """A role that has all its connections."""
    return warning(f"{role} has {used} of the {most} that it may have: its next one is refused", mend)

"""Checks that the next client still gets a connection to the database."""

from __future__ import annotations

from .check import Verdict, broken, ok, warning, worst_of
from .subject import Subject

# Beyond this share, the pool of one more worker would exhaust them.
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
# Safe: a pool reopens the connections that it needs.
_END_IDLE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle' AND pid <> pg_backend_pid()"


def check(subject: Subject) -> Verdict:
    """There are connections left, in all and for each role."""
    (total,) = subject.rows(_ALL)
    remedy = subject.psql(_END_IDLE)
    return worst_of(
        [
            judge(**total, remedy=remedy),
            *(full(**role, remedy=remedy) for role in subject.rows(_ROLES) if role["used"] >= role["most"]),
        ]
    )


def judge(used: int, most: int, reserved: int, remedy: str) -> Verdict:
    """The verdict on the number of sessions; `reserved` of `most` are for superusers."""
    seen = f"{used} of {most} are taken"
    if used >= most - reserved:
        return broken(f"{seen}, and the other {reserved} are for superusers: every other client is refused", remedy)
    if used >= _MANY * most:
        return warning(f"{seen}: it should be less than {_MANY:.0%}", remedy)
    return ok(seen)


def full(role: str, most: int, used: int, remedy: str) -> Verdict:
    """The verdict on a role that uses all its connections."""
    return warning(f"{role} uses {used} of its {most} connections: its next one is refused", remedy)

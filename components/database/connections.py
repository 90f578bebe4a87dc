"""How many connections each role may hold, so that no role can use up those of another."""

from __future__ import annotations

from dataclasses import dataclass

POOL_SIZE = 5
"""Connections that each of MLflow's pools keeps open."""
MAX_OVERFLOW = 3
"""Connections that each pool may open in addition, while they are needed."""

# Each worker has a pool for runs and one for registered models, and with sign-in one for users.
_POOLS = 2
# For each of these pools, as many connections of a worker are for the calls that it answers without MLflow.
_REST = 2
# With jobs: MLflow's job runner and its seven queues. Each has a pool for runs and rarely uses a second connection.
_BACKGROUND = 8
# Retention signs in as the server does.
_RETENTION = 1
_OWNER = 5
_READONLY = 20
# The exporter opens two connections for a scrape, and its probe may run at the same time.
_MONITOR = 5
# PostgreSQL's default for superuser_reserved_connections, and some for its workers and an administrator.
_RESERVED = 3 + 7


@dataclass(frozen=True)
class ConnectionBudget:
    """The most connections that each role may hold."""

    server: int
    owner: int
    readonly: int
    monitor: int = 0
    """0 without metrics: the role does not exist then."""

    @property
    def max_connections(self) -> int:
        """PostgreSQL's setting. When all roles use all of theirs, the superuser can still connect."""
        return self.server + self.owner + self.readonly + self.monitor + _RESERVED


def rest_connections(*, sign_in: bool) -> int:
    """Connections of a worker for the calls that it answers without MLflow. Each call holds one for milliseconds."""
    return (_POOLS + sign_in) * _REST


def connection_budget(
    workers: int, *, sign_in: bool, jobs: bool, retention: bool = False, metrics: bool = False
) -> ConnectionBudget:
    """The budget for an MLflow server with this many worker processes."""
    of_worker = (_POOLS + sign_in) * (POOL_SIZE + MAX_OVERFLOW) + rest_connections(sign_in=sign_in)
    background = (_BACKGROUND if jobs else 0) + (_RETENTION if retention else 0)
    return ConnectionBudget(
        server=workers * of_worker + background,
        owner=_OWNER,
        readonly=_READONLY,
        monitor=_MONITOR if metrics else 0,
    )

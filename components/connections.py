"""How many connections to the database each role may hold, so that none of them can take the place of another."""

from __future__ import annotations

from dataclasses import dataclass

POOL_SIZE = 5
"""Connections that each pool of the server keeps open."""
MAX_OVERFLOW = 5
"""Connections that each pool may open beyond those, for as long as they are needed."""

# A worker has a pool for runs and one for registered models; with sign-in, one for users.
_POOLS = 2
# With jobs, MLflow's runner of them and its seven queues, each with the runs' pool, seldom more than one in use.
_BACKGROUND = 8
# What removes the deleted signs in as the server does.
_HOUSEKEEPING = 1
_OWNER = 5
_READONLY = 20
# One for each of its two ways to ask, while its own probe and whoever scrapes it come at the same time.
_MONITOR = 5
# PostgreSQL's own default of superuser_reserved_connections, and as many for its workers and for whoever looks inside.
_RESERVED = 3 + 7


@dataclass(frozen=True)
class ConnectionBudget:
    """The most connections that each role may hold."""

    server: int
    owner: int
    readonly: int
    monitor: int = 0
    """0 when nobody watches: there is no such role then."""

    @property
    def max_connections(self) -> int:
        """PostgreSQL's setting: all roles at once, and the superuser still comes in."""
        return self.server + self.owner + self.readonly + self.monitor + _RESERVED


def connection_budget(
    workers: int, *, sign_in: bool, jobs: bool, housekeeping: bool = False, metrics: bool = False
) -> ConnectionBudget:
    """The budget of a server with a number of worker processes, which may run jobs of its own and be watched."""
    pools = _POOLS + sign_in
    background = (_BACKGROUND if jobs else 0) + (_HOUSEKEEPING if housekeeping else 0)
    return ConnectionBudget(
        server=workers * pools * (POOL_SIZE + MAX_OVERFLOW) + background,
        owner=_OWNER,
        readonly=_READONLY,
        monitor=_MONITOR if metrics else 0,
    )

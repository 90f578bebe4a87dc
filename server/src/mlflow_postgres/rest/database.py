"""The application's connections to PostgreSQL, and the check of the schema's revision."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from types import TracebackType
from typing import LiteralString, Self

import mlflow
import psycopg
from psycopg import AsyncConnection
from psycopg.pq import TransactionStatus
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from ..database.sessions import is_silent
from .compared import COMPARED
from .errors import Lost, NotServed

Values = Mapping[str, str | int | float | None]
Row = tuple[bytes, ...]
"""The columns as PostgreSQL writes them. NULL is empty."""

_PAUSE = 5.0
"""Seconds between two attempts to read the revision."""

_log = logging.getLogger("mlflow.rest")


class Database:
    """A pool of connections on which every statement is a transaction of its own."""

    def __init__(self, conninfo: str, size: int, patience: float = 5.0) -> None:
        """`size` is the most connections, and `patience` how many seconds a call waits for one. Opens none yet."""
        self._pool = AsyncConnectionPool(
            conninfo,
            kwargs={"autocommit": True},
            min_size=1,
            max_size=size,
            timeout=patience,
            # The longer the pool tries, the longer it pauses: minutes, when PostgreSQL has long been back.
            reconnect_timeout=patience,
            check=_check,
            open=False,
        )
        self._is_compared: bool | None = None
        self._next_attempt = 0.0

    async def __aenter__(self) -> Self:
        await self._pool.open()
        await self.is_compared()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._pool.close()

    async def is_compared(self) -> bool:
        """Whether the calls were compared on this version of MLflow and this revision of the schema."""
        if self._is_compared is None and time.monotonic() >= self._next_attempt:
            self._next_attempt = time.monotonic() + _PAUSE
            try:
                rows = await self.read("SELECT version_num FROM alembic_version", {})
            except NotServed:
                return False
            found = (mlflow.__version__, *(str(row[0], "ascii") for row in rows))
            self._is_compared = found in COMPARED
            if not self._is_compared:
                _log.warning("MLflow answers every call: none was compared with MLflow and schema %s", found)
        return bool(self._is_compared)

    async def read(self, statement: str, values: Values, *, prepare: bool = True) -> list[Row]:
        """The rows of a statement that changes nothing. Raises `NotServed`.

        Without `prepare`, PostgreSQL plans it for the values.
        """
        try:
            async with self._pool.connection() as connection:
                return await _rows(connection, statement, values, prepare)
        except (psycopg.Error, PoolTimeout) as error:
            raise _not_served(error) from error

    async def write(self, statement: LiteralString, values: Values) -> Row:
        """The one row of a statement. It must return none if it changes nothing. Raises `NotServed` or `Lost`."""
        try:
            async with self._pool.connection() as connection:
                try:
                    rows = await _rows(connection, statement, values, True)
                except psycopg.OperationalError as error:
                    # PostgreSQL has refused the statement only if the connection still works.
                    if connection.info.transaction_status is TransactionStatus.UNKNOWN:
                        raise Lost from error
                    raise
        except (psycopg.Error, PoolTimeout) as error:
            raise _not_served(error) from error
        if len(rows) != 1:
            raise NotServed
        return rows[0]


async def _rows(connection: AsyncConnection, statement: LiteralString, values: Values, prepare: bool) -> list[Row]:
    async with connection.cursor() as cursor:
        await cursor.execute(statement, values, prepare=prepare)
        result = cursor.pgresult
        assert result is not None, "a statement was executed"
        columns = range(result.nfields)
        return [tuple([result.get_value(row, column) or b"" for column in columns]) for row in range(result.ntuples)]


async def _check(connection: AsyncConnection) -> None:
    """Raise for a connection that was closed while nobody used it. Then something has come in."""
    if not is_silent(connection.fileno()):
        await AsyncConnectionPool.check_connection(connection)


def _not_served(error: Exception) -> NotServed:
    _log.debug("MLflow answers instead: %s", type(error).__name__)
    return NotServed()

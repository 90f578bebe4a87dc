"""Compares the rows of the database with those of the old store, by number and checksum."""

from __future__ import annotations

import hashlib
import marshal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_MODULUS = 2**64


@dataclass
class Tally:
    """Number and checksum of the rows of a table. The order of the rows does not matter."""

    rows: int = 0
    total: int = 0

    def add(self, rows: Iterable[Sequence[Any]]) -> None:
        """Add rows. Values of different types differ: 1 is not 1.0."""
        for row in rows:
            # marshal's version 2 writes the same bytes for equal values of one type. Later versions write references to
            # shared objects. It takes half the time of repr().
            written = marshal.dumps(tuple(row), 2)
            self.total += int.from_bytes(hashlib.blake2b(written, digest_size=8).digest(), "big")
            self.rows += 1
        self.total %= _MODULUS

    @property
    def checksum(self) -> str:
        return f"{self.total:016x}"


@dataclass(frozen=True, kw_only=True)
class TableComparison:
    """The comparison of a table."""

    table: str
    expected: int
    """The number of rows in the old store."""
    read: Tally
    """The rows of the old store, as they were written."""
    found: Tally
    """The rows that were read back from the database."""

    @property
    def same(self) -> bool:
        return self.expected == self.read.rows == self.found.rows and self.read.total == self.found.total

    def shown(self) -> dict[str, object]:
        """The JSON object that is printed and stored."""
        return {
            "table": self.table,
            "rows": self.expected,
            "rows_found": self.found.rows,
            "checksum": self.read.checksum,
            "checksum_found": self.found.checksum,
            "same": self.same,
        }


def compare(
    expected: Mapping[str, int], read: Mapping[str, Tally], found: Mapping[str, Tally]
) -> list[TableComparison]:
    """Compare all tables."""
    return [
        TableComparison(table=table, expected=rows, read=read.get(table, Tally()), found=found.get(table, Tally()))
        for table, rows in expected.items()
    ]

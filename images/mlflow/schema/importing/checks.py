"""Whether what is in the database is what was in the other store: rows counted, and their contents summed up."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_MODULUS = 2**64


@dataclass
class Tally:
    """The rows of a table. Two tallies are the same when the rows are, in whatever order they came."""

    rows: int = 0
    total: int = 0

    def add(self, row: Sequence[Any]) -> None:
        """Count a row in. Its values are told apart by their types as well: 1 is not 1.0."""
        digest = hashlib.blake2b(repr(tuple(row)).encode("utf-8", "surrogatepass"), digest_size=8).digest()
        self.total = (self.total + int.from_bytes(digest, "big")) % _MODULUS
        self.rows += 1

    @property
    def checksum(self) -> str:
        return f"{self.total:016x}"


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One table on both sides."""

    table: str
    expected: int
    """Rows that the other store has of it."""
    read: Tally
    """What was read there, and changed to be written here."""
    found: Tally
    """What was read back."""

    @property
    def same(self) -> bool:
        return self.expected == self.read.rows == self.found.rows and self.read.total == self.found.total

    def shown(self) -> dict[str, Any]:
        """As it is printed and kept."""
        return {
            "table": self.table,
            "rows": self.expected,
            "rows_found": self.found.rows,
            "checksum": self.read.checksum,
            "checksum_found": self.found.checksum,
            "same": self.same,
        }


def compared(expected: Mapping[str, int], read: Mapping[str, Tally], found: Mapping[str, Tally]) -> list[Compared]:
    """All tables on both sides."""
    return [
        Compared(table=table, expected=rows, read=read.get(table, Tally()), found=found.get(table, Tally()))
        for table, rows in expected.items()
    ]

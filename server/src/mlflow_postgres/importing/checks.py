"""Whether what is in the database is what was in the other store: rows counted, and their contents summed up."""

from __future__ import annotations

import hashlib
import marshal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_MODULUS = 2**64


@dataclass
class Tally:
    """The rows of a table. Two tallies are the same when the rows are, in whatever order they came."""

    rows: int = 0
    total: int = 0

    def add(self, rows: Iterable[Sequence[Any]]) -> None:
        """Count rows in. Their values are told apart by their types as well: 1 is not 1.0."""
        for row in rows:
            # Version 2 writes the same bytes for the same values, however they came to be. A row takes half as long as
            # by its representation.
            written = marshal.dumps(tuple(row), 2)
            self.total += int.from_bytes(hashlib.blake2b(written, digest_size=8).digest(), "big")
            self.rows += 1
        self.total %= _MODULUS

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

    def shown(self) -> dict[str, object]:
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

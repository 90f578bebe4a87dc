"""Checks every value of the copy before anything is written.

A value that PostgreSQL cannot hold is repaired if only a character of it is invalid. Other bad values are listed: a
person must change them.
"""

from __future__ import annotations

import sqlite3
from collections import Counter as Counts
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..errors import Refused
from .changes import ADDRESSES, Changes, change_rows
from .options import Options
from .progress import Counter, emit
from .repairs import Finding, findings
from .sources import quoted
from .tables import EXPERIMENT, Column, Table
from .values import CHANGE_COPY, BadValue, Row, batch_size, converter, key_of, shown

SHOWN = 20
"""The number of bad values that are printed."""

_FIRST_ROW = -(2**63)


@dataclass
class Examination:
    """The result of an examination."""

    replaced: Counts[tuple[str, str]] = field(default_factory=Counts)
    """The number of repaired values, by column and replacement."""
    bad: list[str] = field(default_factory=list)
    """Messages about the first bad values."""
    count: int = 0
    """The number of bad values."""

    def add(self, table: Table, row: Sequence[object], index: int, error: BadValue) -> None:
        """List a value that cannot be imported."""
        column = table.columns[index].name
        self._add(
            f"{table.name}.{column} of the row with {key_of(table, row)} is {shown(column, row[index])}, "
            f"which {error.why}. Mend it: {error.remedy}"
        )

    def add_row(self, table: Table, row: Sequence[object], rule: str) -> None:
        """List a row that violates a CHECK constraint of its table."""
        self._add(
            f"{table.name} has a row with {key_of(table, row)} that violates the rule: {rule}. Mend it: change the row"
        )

    def _add(self, what: str) -> None:
        self.count += 1
        if len(self.bad) < SHOWN:
            self.bad.append(what)

    def notes(self) -> Iterator[str]:
        """Messages about the result."""
        if self.replaced:
            what = "; ".join(f"{count:,} of {column}: {by}" for (column, by), count in self.replaced.items())
            yield f"{self.replaced.total():,} value(s) repaired, which PostgreSQL cannot hold: {what}"
        yield from self.bad


def examine(copy: sqlite3.Connection, tables: Sequence[Table], rows: Mapping[str, int]) -> Examination:
    """Check all values, and repair them in the copy. `rows` has the number of rows of each table.

    Does not check the ranges of ids nor the lengths of addresses: both will change.
    """
    found = Examination()
    numbers = {(table.name, table.counter) for table in tables} | {EXPERIMENT}
    # Text that is not UTF-8 is returned as bytes, so that it can be recognized.
    copy.text_factory = _text
    try:
        counter = Counter("examine", "rows", sum(rows.values()))
        for table in tables:
            unlimited = replace(table, columns=tuple(_without_limits(each, numbers) for each in table.columns))
            _examine_table(copy, unlimited, found, counter)
    finally:
        copy.text_factory = str
    copy.commit()
    return found


def _text(text: bytes) -> str | bytes:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text


def _without_limits(column: Column, numbers: set[tuple[str, str | None]]) -> Column:
    if column.root in numbers:
        return replace(column, bits=64)
    return replace(column, length=None) if column.name in ADDRESSES else column


def _examine_table(copy: sqlite3.Connection, table: Table, found: Examination, counter: Counter) -> None:
    names = ", ".join(map(quoted, table.names))
    # Not one long query: rows are updated in the loop.
    query = f"SELECT rowid, {names} FROM {quoted(table.name)} WHERE rowid >= ? ORDER BY rowid LIMIT {batch_size(table)}"
    finders = [findings(column) for column in table.columns]
    first = _FIRST_ROW
    while batch := copy.execute(query, (first,)).fetchall():
        numbers, *columns = zip(*batch, strict=True)
        for index, (find, values) in enumerate(zip(finders, columns, strict=True)):
            for each in find(values):
                _note(copy, table, batch[each.index], index, each, found)
        counter.add(len(batch))
        if numbers[-1] == 2**63 - 1:
            break
        first = numbers[-1] + 1
    for rule in table.rules:
        for row in copy.execute(f"SELECT {names} FROM {quoted(table.name)} WHERE NOT ({rule})"):
            found.add_row(table, row, rule)


def _note(
    copy: sqlite3.Connection, table: Table, rowid_and_row: Row, index: int, each: Finding, found: Examination
) -> None:
    row_id, *row = rowid_and_row
    column = table.columns[index].name
    if each.error is None:
        update = f"UPDATE {quoted(table.name)} SET {quoted(column)} = ? WHERE rowid = ?"
        try:
            copy.execute(update, (each.value, row_id))
        except sqlite3.IntegrityError:
            error = BadValue("would equal another row's value after a repair", "give one of them another name")
            found.add(table, row, index, error)
            return
        if each.replaced:
            found.replaced[f"{table.name}.{column}", each.replaced] += 1
    else:
        found.add(table, row, index, each.error)


def check_addresses(copy: sqlite3.Connection, tables: Sequence[Table], changes: Changes) -> Examination:
    """Check that the new addresses fit into their columns."""
    found = Examination()
    for table in tables:
        indexes = [index for index, each in enumerate(table.columns) if each.name in ADDRESSES and each.length]
        if not indexes:
            continue
        change = change_rows(table, changes)
        checks = [(index, converter(table.columns[index])) for index in indexes]
        cursor = copy.execute(f"SELECT {', '.join(map(quoted, table.names))} FROM {quoted(table.name)}")
        for row in map(list, cursor):
            if change:
                change(row)
            for index, check in checks:
                try:
                    if row[index] is not None:
                        check(row[index])
                except BadValue as error:
                    found.add(table, row, index, error)
    return found


def report(found: Examination, options: Options) -> None:
    """Print the result. Raises `Refused` if there are bad values."""
    for note in found.notes():
        emit(note=note)
    if not found.count:
        return
    more = f" and {found.count - len(found.bad):,} more" if found.count > len(found.bad) else ""
    remedy = CHANGE_COPY
    if options.rows_only:
        remedy = "an UPDATE in that database, then the same import again"
    elif options.is_folder:
        remedy = "a change of its files, then the same import again"
    raise Refused(
        "value-invalid",
        f"{found.count:,} value(s) of the store cannot be imported",
        rule=f"they are those above{more}",
        remedy=remedy,
    )

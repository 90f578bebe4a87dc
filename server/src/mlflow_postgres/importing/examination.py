"""Look at every value of the copy before anything is written: what PostgreSQL cannot hold is replaced where the rest of
it still says what it said, and listed where that is for somebody to decide."""

from __future__ import annotations

import sqlite3
from collections import Counter as Counts
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..migration.job import Refused
from .changes import ADDRESSES, Changes, change_rows
from .options import Order
from .progress import Counter, tell
from .repairs import Finding, findings
from .sources import quoted
from .tables import EXPERIMENT, Column, Table
from .values import BadValue, Row, batch_size, converter, key_of, shown

SHOWN = 20
"""How many of the bad values are named."""

_FIRST_ROW = -(2**63)


@dataclass
class Examined:
    """What was found."""

    replaced: Counts[tuple[str, str]] = field(default_factory=Counts)
    """By the column and what stands there now, how many values are other ones than in the store."""
    bad: list[str] = field(default_factory=list)
    """Values that cannot come along, the first of them in words."""
    count: int = 0
    """How many these are."""

    def add(self, table: Table, row: Sequence[object], place: int, error: BadValue) -> None:
        """List a value that cannot come along."""
        column = table.columns[place].name
        self._add(
            f"{table.name}.{column} of the row of {key_of(table, row)} holds {shown(column, row[place])}, "
            f"which {error.why}. Mend it: {error.mend}"
        )

    def add_row(self, table: Table, row: Sequence[object], rule: str) -> None:
        """List a row that breaks a rule of its table."""
        self._add(
            f"{table.name} has a row of {key_of(table, row)} of which this is not true: {rule}. Mend it so that it is"
        )

    def _add(self, what: str) -> None:
        self.count += 1
        if len(self.bad) < SHOWN:
            self.bad.append(what)

    def notes(self) -> Iterator[str]:
        """What is to be said of it, a line each."""
        if self.replaced:
            what = "; ".join(f"{count:,} of {column}: {by}" for (column, by), count in self.replaced.items())
            yield f"{self.replaced.total():,} value(s) changed, which PostgreSQL cannot hold: {what}"
        yield from self.bad


def examine(copy: sqlite3.Connection, tables: Sequence[Table], rows: Mapping[str, int]) -> Examined:
    """Look at all values, and replace in the copy what is replaced; `rows` says how many each table has.

    Numbers and addresses that get others here are not measured yet.
    """
    found = Examined()
    numbers = {(table.name, table.counter) for table in tables} | {EXPERIMENT}
    # What is not UTF-8 comes as bytes, which tell what they are.
    copy.text_factory = _text
    try:
        counter = Counter("examine", "rows", sum(rows.values()))
        for table in tables:
            loose = replace(table, columns=tuple(_loosened(each, numbers) for each in table.columns))
            _examine_table(copy, loose, found, counter)
    finally:
        copy.text_factory = str
    copy.commit()
    return found


def _text(text: bytes) -> str | bytes:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text


def _loosened(column: Column, numbers: set[tuple[str, str | None]]) -> Column:
    if column.root in numbers:
        return replace(column, bits=64)
    return replace(column, length=None) if column.name in ADDRESSES else column


def _examine_table(copy: sqlite3.Connection, table: Table, found: Examined, counter: Counter) -> None:
    names = ", ".join(map(quoted, table.names))
    # Not one long query: rows are changed on the way.
    query = f"SELECT rowid, {names} FROM {quoted(table.name)} WHERE rowid >= ? ORDER BY rowid LIMIT {batch_size(table)}"
    looks = [findings(column) for column in table.columns]
    first = _FIRST_ROW
    while batch := copy.execute(query, (first,)).fetchall():
        numbers, *columns = zip(*batch, strict=True)
        for place, (look, values) in enumerate(zip(looks, columns, strict=True)):
            for each in look(values):
                _note(copy, table, batch[each.index], place, each, found)
        counter.add(len(batch))
        if numbers[-1] == 2**63 - 1:
            break
        first = numbers[-1] + 1
    for rule in table.rules:
        for row in copy.execute(f"SELECT {names} FROM {quoted(table.name)} WHERE NOT ({rule})"):
            found.add_row(table, row, rule)


def _note(
    copy: sqlite3.Connection, table: Table, rowid_and_row: Row, place: int, each: Finding, found: Examined
) -> None:
    row_id, *row = rowid_and_row
    column = table.columns[place].name
    if each.error is None:
        order = f"UPDATE {quoted(table.name)} SET {quoted(column)} = ? WHERE rowid = ?"
        try:
            copy.execute(order, (each.value, row_id))
        except sqlite3.IntegrityError:
            error = BadValue("would be the same as another row's without it", "give one of them another name")
            found.add(table, row, place, error)
            return
        if each.replaced:
            found.replaced[f"{table.name}.{column}", each.replaced] += 1
    else:
        found.add(table, row, place, each.error)


def measure(copy: sqlite3.Connection, tables: Sequence[Table], changes: Changes) -> Examined:
    """Look at the addresses as they will be here, whether there is room for them."""
    found = Examined()
    for table in tables:
        places = [place for place, each in enumerate(table.columns) if each.name in ADDRESSES and each.length]
        if not places:
            continue
        change = change_rows(table, changes)
        checks = [(place, converter(table.columns[place])) for place in places]
        cursor = copy.execute(f"SELECT {', '.join(map(quoted, table.names))} FROM {quoted(table.name)}")
        for row in map(list, cursor):
            if change:
                change(row)
            for place, check in checks:
                try:
                    if row[place] is not None:
                        check(row[place])
                except BadValue as error:
                    found.add(table, row, place, error)
    return found


def judge(found: Examined, order: Order) -> None:
    """Say what was found. Raises `Refused` when something cannot come along, after all of it was said."""
    for note in found.notes():
        tell(note=note)
    if not found.count:
        return
    more = f" and {found.count - len(found.bad):,} more" if found.count > len(found.bad) else ""
    where = "in a copy of the store, with: sqlite3 COPY, then: make import SOURCE=COPY"
    if order.rows_only:
        where = "in that database, then run it again"
    elif order.is_folder:
        where = "in its files, then run it again"
    raise Refused(
        f"{found.count:,} value(s) of the store cannot come along; nothing was changed. They are those above{more}. "
        f"Mend them {where}"
    )

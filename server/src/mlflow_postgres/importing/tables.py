"""MLflow's tables, as its models and the database describe them, in the order in which they are written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from ..errors import Failed

if TYPE_CHECKING:
    import sqlalchemy

Cell = tuple[str, str]
"""A table and one of its columns."""

EXPERIMENT: Cell = ("experiments", "experiment_id")
MODEL: Cell = ("registered_models", "name")


class Kind(Enum):
    """The type of a column's values in PostgreSQL."""

    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"
    TEXT = "text"
    JSON = "json"
    BYTES = "bytes"
    DATE = "date"


# By the type names of the information schema. The number is the size of an integer in bits.
KINDS = {
    "smallint": (Kind.INTEGER, 16),
    "integer": (Kind.INTEGER, 32),
    "bigint": (Kind.INTEGER, 64),
    "double precision": (Kind.FLOAT, 0),
    "boolean": (Kind.BOOLEAN, 0),
    "character varying": (Kind.TEXT, 0),
    "text": (Kind.TEXT, 0),
    "json": (Kind.JSON, 0),
    "jsonb": (Kind.JSON, 0),
    "bytea": (Kind.BYTES, 0),
    "date": (Kind.DATE, 0),
}


@dataclass(frozen=True, kw_only=True)
class StoredColumn:
    """A column, as the database describes it."""

    type: str
    length: int | None = None
    """The limit in characters; None without one."""
    nullable: bool = False


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column that is written."""

    name: str
    kind: Kind
    root: Cell
    """The column that its foreign keys lead to in the end; itself without any."""
    bits: int = 0
    length: int | None = None
    nullable: bool = True


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A foreign key: columns that refer to a row of another table."""

    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]
    optional: bool
    """Whether the columns are set to NULL if the other row is missing. Otherwise the row is deleted."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table that is written."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    references: tuple[Reference, ...] = ()
    counter: str | None = None
    """The serial column."""
    rules: tuple[str, ...] = ()
    """CHECK constraints, in SQL that SQLite understands too."""

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    def without_limits(self) -> Table:
        """The same columns without limits of length or range: values may be changed before they are written."""
        columns = tuple(replace(each, length=None, bits=64 if each.bits else 0) for each in self.columns)
        return replace(self, columns=columns)

    def indexes(self, root: Cell) -> list[int]:
        """The indexes of the columns with this root."""
        return [index for index, column in enumerate(self.columns) if column.root == root]


def import_tables(
    models: Iterable[sqlalchemy.Table], stored: Mapping[Cell, StoredColumn], present: Mapping[str, Sequence[str]]
) -> list[Table]:
    """The tables of MLflow's models (SQLAlchemy's, parents first) that both stores have.

    `stored` has the database's columns without generated ones, `present` the columns of the old store.
    """
    here = {table for table, _ in stored}
    return [_table(model, stored, present[model.name]) for model in models if model.name in here & set(present)]


def _table(model: sqlalchemy.Table, stored: Mapping[Cell, StoredColumn], present: Sequence[str]) -> Table:
    columns = [each for each in model.columns if (model.name, each.name) in stored and each.name in present]
    key = tuple(each.name for each in model.primary_key.columns)
    counter = model.autoincrement_column
    return Table(
        name=model.name,
        columns=tuple(_column(model.name, each, stored[model.name, each.name]) for each in columns),
        key=key,
        references=tuple(_references(model, stored)),
        # A column of a composite key, or with a foreign key, is not serial.
        counter=counter.name if counter is not None and key == (counter.name,) and not counter.foreign_keys else None,
        # MLflow declares some constraints twice.
        rules=tuple(dict.fromkeys(_rules(model))),
    )


def _rules(model: sqlalchemy.Table) -> Iterator[str]:
    for constraint in model.constraints:
        # Only CHECK constraints have it.
        if (text := getattr(constraint, "sqltext", None)) is not None:
            yield str(text.compile(compile_kwargs={"literal_binds": True}))


def _column(table: str, column: sqlalchemy.Column[object], found: StoredColumn) -> Column:
    if found.type not in KINDS:
        raise Failed(
            "column-type-unknown",
            f"the column {table}.{column.name} has the type {found.type}, which the import does not support; "
            "nothing was changed",
        )
    kind, bits = KINDS[found.type]
    return Column(
        name=column.name,
        kind=kind,
        root=_root(table, column),
        bits=bits,
        length=found.length,
        nullable=found.nullable,
    )


def _root(table: str, column: sqlalchemy.Column[object]) -> Cell:
    seen = set()
    while column.foreign_keys and column not in seen:
        seen.add(column)
        # A column with several foreign keys leads to the same root by all of them.
        column = min(column.foreign_keys, key=lambda key: str(key.target_fullname)).column
        table = column.table.name
    # Some tables have the column without a foreign key.
    return EXPERIMENT if column.name == EXPERIMENT[1] else (table, column.name)


def _references(model: sqlalchemy.Table, stored: Mapping[Cell, StoredColumn]) -> Iterable[Reference]:
    declared: set[str] = set()
    for constraint in sorted(model.foreign_key_constraints, key=lambda each: tuple(each.column_keys)):
        elements = list(constraint.elements)
        columns = tuple(each.parent.name for each in elements)
        declared.update(columns)
        yield Reference(
            columns=columns,
            parent=elements[0].column.table.name,
            parent_columns=tuple(each.column.name for each in elements),
            # Not by a nullable column: a run's experiment_id is nullable, yet a run without experiment is deleted.
            optional=str(constraint.ondelete or "").upper() == "SET NULL",
        )
    name = EXPERIMENT[1]
    if model.name != EXPERIMENT[0] and (model.name, name) in stored and name not in declared:
        optional = stored[model.name, name].nullable
        yield Reference(columns=(name,), parent=EXPERIMENT[0], parent_columns=(name,), optional=optional)

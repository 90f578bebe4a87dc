"""SQLAlchemy's dialect for psycopg, so that MLflow's statements mean what they mean with psycopg2.

Addresses that begin with `postgresql+mlflow://` have it (entry point `sqlalchemy.dialects`). psycopg2 writes values
into the statement, where PostgreSQL finds out what a text is. SQLAlchemy has psycopg say that it is a VARCHAR, and
MLflow compares texts with integers. Here a text is of unknown type, and an integer as large as it needs to be.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from psycopg.types.numeric import Int4, Int4BinaryDumper, IntBinaryDumper
from psycopg.types.string import StrDumperUnknown
from sqlalchemy import URL, BigInteger, BindParameter, Engine, Integer, String, event
from sqlalchemy.dialects.postgresql.psycopg import PGCompiler_psycopg, PGDialect_psycopg
from sqlalchemy.orm import Mapper
from sqlalchemy.sql.functions import Function
from sqlalchemy.util import update_copy

from . import characters, errors, names


class _Text(String):
    """A text that PostgreSQL gives the type of what it is compared with."""

    render_bind_cast = False


class _Integer(Integer):
    render_bind_cast = False


class _BigInteger(BigInteger):
    render_bind_cast = False


class _Compiler(PGCompiler_psycopg):
    """Names the type of a text that is a function's argument: some, such as json_build_object, take any type."""

    def visit_function(
        self, func: Function[Any], add_to_result_map: Callable[..., None] | None = None, **options: object
    ) -> str:
        return super().visit_function(func, add_to_result_map, **{**options, "is_argument": True})

    def visit_bindparam(self, bindparam: BindParameter[object], *others: object, **options: object) -> str:
        is_argument = options.pop("is_argument", False)
        visit: Callable[..., str] = super().visit_bindparam
        cast: Callable[..., str] = self.render_bind_cast
        text = visit(bindparam, *others, **options)
        is_one_value = not (bindparam.expanding or bindparam.literal_execute or options.get("literal_binds"))
        if is_argument and is_one_value and type(bindparam.type.dialect_impl(self.dialect)) is _Text:
            return cast(bindparam.type, bindparam.type, text)
        return text


class IntegerDumper(IntBinaryDumper):
    """An integer of 32 bits, as one that is written into a statement, unless it needs more.

    psycopg's own makes it 16 where that is enough. Every size would be another prepared statement, and overflow sooner.
    """

    _FOUR_BYTES: ClassVar = Int4BinaryDumper(Int4)

    def upgrade(self, obj: int, format: Any) -> Any:
        return self._FOUR_BYTES if -(2**31) <= obj < 2**31 else super().upgrade(obj, format)


class TextDumper(StrDumperUnknown):
    """A text of unknown type, without what PostgreSQL refuses."""

    def dump(self, obj: str) -> bytes:
        # At most of what is sent, so without psycopg's own way; the database is UTF8.
        try:
            data = obj.encode()
        except UnicodeEncodeError:
            return characters.storable(obj).encode()
        return characters.storable(obj).encode() if b"\0" in data else data


class Dialect(PGDialect_psycopg):
    driver = "mlflow"
    supports_statement_cache = True
    statement_compiler = _Compiler
    colspecs = update_copy(PGDialect_psycopg.colspecs, {String: _Text, Integer: _Integer, BigInteger: _BigInteger})

    def __init__(self, **options: object) -> None:
        initialize: Callable[..., None] = super().__init__
        initialize(**{"json_serializer": characters.json_text, **options})

    def create_connect_args(self, url: URL) -> tuple[Sequence[str], dict[str, Any]]:
        create: Callable[[URL], tuple[Sequence[str], dict[str, Any]]] = super().create_connect_args
        arguments, named = create(url)
        adapters = named["context"]
        adapters.register_dumper(int, IntegerDumper)
        adapters.register_dumper(str, TextDumper)
        return arguments, named

    @classmethod
    def engine_created(cls, engine: Engine) -> None:
        event.listen(engine, "handle_error", errors.keep_to_the_log)
        # Listening twice is listening once.
        for moment in ("before_insert", "before_update"):
            event.listen(Mapper, moment, names.refuse_unstorable)

"""MLflow's answers as JSON: one walk over the message instead of three, and no indentation."""

from __future__ import annotations

import functools
import importlib
import json
from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import FieldDescriptor  # type: ignore[import-untyped]  # it brings no types
from google.protobuf.message import Message  # type: ignore[import-untyped]  # the same

# What these hold is written as it is; 64-bit integers as numbers, which is MLflow's way and not protobuf's.
_PLAIN = {
    FieldDescriptor.CPPTYPE_INT32,
    FieldDescriptor.CPPTYPE_INT64,
    FieldDescriptor.CPPTYPE_UINT32,
    FieldDescriptor.CPPTYPE_UINT64,
    FieldDescriptor.CPPTYPE_BOOL,
    FieldDescriptor.CPPTYPE_STRING,
}
_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


class UnknownForm(Exception):
    """The message has a field that only MLflow's own way writes."""


def install() -> None:
    handlers: Any = importlib.import_module("mlflow.server.handlers")
    original = handlers.message_to_json

    def message_to_json(message: Message, **options: Any) -> Any:
        # Whoever asks for another form than the usual one gets it from MLflow.
        if options:
            return original(message, **options)
        try:
            return json.dumps(as_dict(message))
        except UnknownForm:
            return original(message)

    handlers.message_to_json = message_to_json


def as_dict(message: Message) -> dict[str, Any]:
    """What MLflow's `message_to_json` writes, before it is text. Raises `UnknownForm`."""
    written = {}
    for field, value in message.ListFields():
        name, write = _writer(field)
        written[name] = write(value) if write else value
    return written


@functools.cache
def _writer(field: FieldDescriptor) -> tuple[str, Callable[[Any], Any] | None]:
    """A field's name, and what makes JSON of its value; nothing if it is JSON already."""
    if field.is_extension or field.type == FieldDescriptor.TYPE_BYTES:
        raise UnknownForm(field.full_name)
    write = _of_one(field)
    if not field.is_repeated:
        return field.name, write
    return field.name, (lambda values: [write(each) for each in values]) if write else list


def _of_one(field: FieldDescriptor) -> Callable[[Any], Any] | None:
    kind = field.cpp_type
    if kind in _PLAIN:
        return None
    if kind == FieldDescriptor.CPPTYPE_DOUBLE:
        return _number
    if kind == FieldDescriptor.CPPTYPE_ENUM and field.enum_type.is_closed:
        names = {number: value.name for number, value in field.enum_type.values_by_number.items()}
        return names.__getitem__
    # Protobuf's own types, such as a timestamp, have a form of their own; so has a map, which is a message here.
    if kind == FieldDescriptor.CPPTYPE_MESSAGE and not (
        field.message_type.full_name.startswith("google.protobuf.") or field.message_type.GetOptions().map_entry
    ):
        return as_dict
    raise UnknownForm(field.full_name)


def _number(value: float) -> float | str:
    return value if value - value == 0 else _NOT_FINITE[str(value)]

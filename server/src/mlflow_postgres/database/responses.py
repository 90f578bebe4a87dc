"""MLflow's answers as JSON: one walk over the message instead of three, and no indentation."""

from __future__ import annotations

import base64
import functools
import importlib
from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from ..replacement import replace
from . import run_json

# What these hold is written as it is.
_PLAIN = {
    FieldDescriptor.CPPTYPE_INT32,
    FieldDescriptor.CPPTYPE_UINT32,
    FieldDescriptor.CPPTYPE_BOOL,
    FieldDescriptor.CPPTYPE_STRING,
}
_64_BITS = {FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64}
_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


Json = str | int | float | None | list["Json"] | dict[str, "Json"]


class UnknownForm(Exception):
    """The message has a field that only MLflow's own way writes."""


def install() -> None:
    handlers = importlib.import_module("mlflow.server.handlers")
    original: Callable[..., str] = handlers.message_to_json

    def message_to_json(message: Message, **options: object) -> str:
        write = as_dict if options.get("convert_int64_to_number", True) else as_dict_with_texts
        try:
            # `pretty`, the other option, is for readers; whoever reads an answer of this size is a program.
            answer = write(message)
        except UnknownForm:
            return original(message, **options)
        data = run_json.of(message)
        return run_json.with_data(answer, data) if data else run_json.compact(answer)

    replace(handlers, message_to_json=message_to_json)


def as_dict(message: Message) -> dict[str, Json]:
    """What MLflow's `message_to_json` writes, before it is text: 64-bit integers are numbers. Raises `UnknownForm`."""
    return _fields(message, as_dict)


def as_dict_with_texts(message: Message) -> dict[str, Json]:
    """The same, but 64-bit integers are texts, which is protobuf's way. Raises `UnknownForm`."""
    return _fields(message, as_dict_with_texts)


Write = Callable[[Any], Json]
"""Makes JSON of a value of a field."""


def _fields(message: Message, of_message: Write) -> dict[str, Json]:
    written = {}
    for field, value in message.ListFields():
        name, write = _writer(field, of_message)
        written[name] = write(value) if write else value
    return written


@functools.cache
def _writer(field: FieldDescriptor, of_message: Write) -> tuple[str, Write | None]:
    """A field's name, and what makes JSON of its value; nothing if it is JSON already."""
    if field.is_extension:
        raise UnknownForm(field.full_name)
    if field.message_type and field.message_type.GetOptions().map_entry:
        return field.name, _of_map(field, of_message)
    write = _of_one(field, of_message)
    if not field.is_repeated:
        return field.name, write
    return field.name, (lambda values: [write(each) for each in values]) if write else list


def _of_map(field: FieldDescriptor, of_message: Write) -> Write:
    assert field.message_type, "a map is of messages"
    entry = field.message_type.fields_by_name
    if entry["key"].cpp_type != FieldDescriptor.CPPTYPE_STRING:
        raise UnknownForm(field.full_name)
    write = _of_one(entry["value"], of_message)
    return (lambda values: {key: write(values[key]) for key in values}) if write else dict


def _of_one(field: FieldDescriptor, of_message: Write) -> Write | None:
    kind = field.cpp_type
    if field.type == FieldDescriptor.TYPE_BYTES:
        return lambda value: base64.b64encode(value).decode()
    if kind in _PLAIN:
        return None
    if kind in _64_BITS:
        return str if of_message is as_dict_with_texts else None
    if kind == FieldDescriptor.CPPTYPE_DOUBLE:
        return _number
    if field.enum_type:
        names = {number: value.name for number, value in field.enum_type.values_by_number.items()}
        # One that is open may have a number of which it knows no name.
        return lambda value: names.get(value, value)
    if field.message_type:
        # Protobuf's own have a form of their own in JSON: a timestamp is a text.
        return MessageToDict if field.message_type.full_name.startswith("google.protobuf.") else of_message
    raise UnknownForm(field.full_name)


def _number(value: float) -> float | str:
    return value if value - value == 0 else _NOT_FINITE[str(value)]

"""Answers as JSON: the same data as MLflow's own, or handed over to it."""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from google.protobuf import (
    descriptor_pb2,
    duration_pb2,
    field_mask_pb2,
    struct_pb2,
    timestamp_pb2,
)
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass, GetMessages
from mlflow.protos import model_registry_pb2, service_pb2
from mlflow.utils.proto_json_utils import message_to_json

from mlflow_postgres.database import responses
from mlflow_postgres.database.responses import UnknownForm, as_dict, as_dict_with_texts

NUMBERS = [0.0, -0.0, 1.0, 0.1, -7.25, 1e300, 5e-324, 1e16, math.nan, math.inf, -math.inf, -math.nan]


def same(message: Message) -> bool:
    """Whether text made of both is the same: -0.0 and 0, or 1 and true, are equal but not the same."""
    ways = ((as_dict, True), (as_dict_with_texts, False))
    return all(
        json.dumps(write(message))
        == json.dumps(json.loads(message_to_json(message, convert_int64_to_number=with_numbers)))
        for write, with_numbers in ways
    )


def a_search() -> Any:
    response = service_pb2.SearchRuns.Response(next_page_token="a token")
    for number, value in enumerate(NUMBERS):
        run = response.runs.add()
        run.info.run_id = run.info.run_uuid = f"{number:032}"
        run.info.status = service_pb2.RunStatus.values()[number % 5]
        run.info.start_time, run.info.end_time = 2**63 - 1 - number, -(2**63) + number
        run.data.metrics.add(key="名前", value=value, timestamp=2**53 + 1, step=-number)
        run.data.params.add(key="k" * 250, value='\u2028\x00"\\/<é😀' * number)
        run.data.tags.add(key="", value="")
        run.inputs.dataset_inputs.add().dataset.name = "data"
    response.runs.add()
    return response


def test_a_search_is_written_as_mlflow_writes_it() -> None:
    written: Any = as_dict(a_search())
    assert [each.get("data", {}).get("metrics", [{}])[0].get("value") for each in written["runs"]][7:12] == [
        *(1e16, "NaN", "Infinity", "-Infinity", "NaN")
    ]
    assert written["runs"][0]["info"]["start_time"] == 2**63 - 1
    assert same(a_search())


@pytest.mark.parametrize("value", NUMBERS)
def test_a_number_is_written_as_mlflow_writes_it(value: float) -> None:
    assert same(service_pb2.Metric(key="m", value=value))


@pytest.mark.parametrize("kind", [0, 1, 5, 99])
@pytest.mark.parametrize("value", [b"\x00\xff", b"a", b"\xfb\xef\xbe", "é".encode(), b""])
def test_a_span_is_written_as_mlflow_writes_it(kind: int, value: bytes) -> None:
    """Bytes, and an enum that may hold a number of which it knows no name."""
    trace = service_pb2.Trace()
    span = trace.spans.add(trace_id=value, span_id=b"s", kind=kind, start_time_unix_nano=2**64 - 1)
    span.attributes.add(key="a").value.bytes_value = value
    span.attributes.add(key="b").value.array_value.values.add(double_value=0.0)
    assert same(trace)


def test_an_empty_answer_is_an_empty_object() -> None:
    assert (
        as_dict(service_pb2.SearchRuns.Response())
        == {}
        == json.loads(message_to_json(service_pb2.SearchRuns.Response()))
    )


WELL_KNOWN = {
    "google.protobuf.Timestamp": timestamp_pb2.Timestamp(seconds=1_700_000_000, nanos=5_000_000),
    "google.protobuf.Duration": duration_pb2.Duration(seconds=3, nanos=1),
    "google.protobuf.FieldMask": field_mask_pb2.FieldMask(paths=["some_field.other"]),
    "google.protobuf.Value": ParseDict({"a": [1, 0.5, None, True, {"values": "x"}, [], "y"]}, struct_pb2.Value()),
}


def filled(descriptor: Descriptor, depth: int = 0) -> Message:
    """A message whose every field has a value that is not its default, five messages deep."""
    if descriptor.full_name in WELL_KNOWN:
        return WELL_KNOWN[descriptor.full_name]
    message = GetMessageClass(descriptor)()
    for field in descriptor.fields:
        if not field.message_type:
            value = a_value(field)
        elif field.message_type.GetOptions().map_entry:
            key, kind = field.message_type.fields
            if kind.message_type:
                getattr(message, field.name)[a_value(key)].MergeFrom(filled(kind.message_type, depth + 1))
            else:
                getattr(message, field.name)[a_value(key)] = a_value(kind)
            continue
        elif depth > 4:
            continue
        else:
            value = filled(field.message_type, depth + 1)
        if field.is_repeated:
            getattr(message, field.name).extend([value, value])
        elif field.message_type:
            getattr(message, field.name).CopyFrom(value)
        else:
            setattr(message, field.name, value)
    return message


def a_value(field: FieldDescriptor) -> Any:
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_BOOL:
            return True
        case FieldDescriptor.CPPTYPE_ENUM:
            assert field.enum_type
            return field.enum_type.values[-1].number
        case FieldDescriptor.CPPTYPE_STRING:
            return b"\xff\x00" if field.type == FieldDescriptor.TYPE_BYTES else 'é"\n'
        case FieldDescriptor.CPPTYPE_DOUBLE | FieldDescriptor.CPPTYPE_FLOAT:
            return 0.1
        case FieldDescriptor.CPPTYPE_INT64 | FieldDescriptor.CPPTYPE_UINT64:
            return 2**53 + 1
        case _:
            return 7


def within(messages: Mapping[str, Descriptor]) -> Iterator[Descriptor]:
    for each in messages.values():
        yield each
        yield from within(each.nested_types_by_name)


MESSAGES = [
    each
    for module in (service_pb2, model_registry_pb2)
    for each in within(module.DESCRIPTOR.message_types_by_name)
    if not each.GetOptions().map_entry
]


def test_every_message_is_written_as_mlflow_writes_it_or_not_at_all() -> None:
    written, handed_over = set(), set()
    for descriptor in MESSAGES:
        message = filled(descriptor)
        try:
            assert same(message), descriptor.full_name
        except UnknownForm:
            handed_over.add(descriptor.full_name)
        else:
            written.add(descriptor.full_name)
    assert len(written) > 200
    usual = ("SearchRuns", "GetRun", "GetMetricHistory", "SearchExperiments", "CreateRun", "GetExperiment")
    assert {f"mlflow.{each}.Response" for each in usual} <= written
    assert handed_over, "a form that is not known has been met"


def with_numbers_for_keys() -> Any:
    """A message with a map whose keys are numbers; MLflow has none."""
    file = descriptor_pb2.FileDescriptorProto(name="numbers.proto", syntax="proto3")
    message = file.message_type.add(name="M")
    entry = message.nested_type.add(name="NamesEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=descriptor_pb2.FieldDescriptorProto.TYPE_INT64, label=1)
    entry.field.add(name="value", number=2, type=descriptor_pb2.FieldDescriptorProto.TYPE_STRING, label=1)
    names = message.field.add(name="names", number=1, type=descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE, label=3)
    names.type_name = ".M.NamesEntry"
    return GetMessages([file])["M"](names={1: "one"})


@pytest.mark.parametrize(
    "message",
    [
        service_pb2.GatewayEndpointModelMapping(weight=0.1),
        with_numbers_for_keys(),
    ],
    ids=["float", "map of numbers"],
)
def test_a_form_that_is_not_known_is_left_to_mlflow(message: Message) -> None:
    with pytest.raises(UnknownForm):
        as_dict(message)


def test_what_is_not_written_is_answered_by_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """`mlflow.server.handlers` needs Flask; a stand-in has the one function that is replaced."""

    def mlflows(_: Message, **options: Any) -> Any:
        return "MLflow's", options

    handlers: Any = SimpleNamespace(message_to_json=mlflows)
    monkeypatch.setattr(importlib, "import_module", {"mlflow.server.handlers": handlers}.__getitem__)
    responses.install()
    reply = handlers.message_to_json
    assert json.loads(reply(a_search())) == json.loads(message_to_json(a_search()))
    assert "\n" not in reply(a_search())
    assert reply(service_pb2.GatewayEndpointModelMapping(weight=0.1)) == ("MLflow's", {})
    assert reply(a_search(), pretty=True) == reply(a_search(), pretty=False) == reply(a_search())
    texts = {"convert_int64_to_number": False, "pretty": True}
    assert json.loads(reply(a_search(), **texts)) == json.loads(message_to_json(a_search(), **texts))
    assert reply(service_pb2.GatewayEndpointModelMapping(weight=0.1), **texts) == ("MLflow's", texts)

"""The traces of an answer, put together from what PostgreSQL writes."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from mlflow_postgres.database.trace_search import answer, duration, merged, moment


@pytest.mark.parametrize(
    ("written", "more", "expected"),
    [
        (None, {}, None),
        (None, {"a": "1"}, {"a": "1"}),
        ('{ "a" : "1" }', {}, {"a": "1"}),
        ('{ "a" : "1" }', {"b": "2"}, {"a": "1", "b": "2"}),
        ('{ "a" : "}" }', {"b": "é"}, {"a": "}", "b": "é"}),
        ('{ "名前" : "😀 }}" }', {"b": '"'}, {"名前": "😀 }}", "b": '"'}),
    ],
)
def test_what_a_trace_has_beside_is_added(
    written: str | None, more: dict[str, str], expected: dict[str, str] | None
) -> None:
    text = merged(written, more)
    assert text.isascii()
    assert (json.loads(text) if text else None) == expected


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (1_700_000_000_120, "2023-11-14T22:13:20.120Z"),
        (1_700_000_000_000, "2023-11-14T22:13:20Z"),
    ],
)
def test_a_time_is_written_as_protobuf_writes_it(milliseconds: int, text: str) -> None:
    assert moment(milliseconds) == text


@pytest.mark.parametrize(
    ("milliseconds", "text"), [(0, "0s"), (1, "0.001s"), (100, "0.100s"), (1_000, "1s"), (-1_500, "-1.500s")]
)
def test_a_duration_is_written_as_protobuf_writes_it(milliseconds: int, text: str) -> None:
    assert duration(milliseconds) == text


def test_a_duration_that_protobuf_refuses_is_left_to_mlflow() -> None:
    assert duration(315_576_000_000_000 - 1) == "315575999999.999s"
    with pytest.raises(OverflowError):
        duration(315_576_000_001_000)


@pytest.mark.parametrize(("token", "expected"), [("", {}), ("é", {"next_page_token": "é"})])
def test_each_trace_of_an_answer_is_the_one_of_its_id(token: str, expected: dict[str, str]) -> None:
    message = SimpleNamespace(traces=[SimpleNamespace(trace_id=name) for name in "ba"], next_page_token=token)
    said = json.loads(answer(message, {"a": '{"trace_id":"a"}', "b": '{"trace_id":"b"}'}))
    assert said == {"traces": [{"trace_id": "b"}, {"trace_id": "a"}], **expected}

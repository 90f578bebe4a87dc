"""The data of runs as the JSON that PostgreSQL makes of it, put into an answer."""

from __future__ import annotations

import importlib
import json
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any

import pytest

from mlflow_postgres.database import run_json
from mlflow_postgres.database.run_json import data_text, with_data

BETWEEN = ", \n "


def rows(*values: dict[str, Any]) -> str:
    """What PostgreSQL's `json_agg` makes of rows."""
    return BETWEEN.join(json.dumps(each, ensure_ascii=False, separators=(",", ":")) for each in values).join("[]")


def metric(value: Any, key: str = "m") -> dict[str, Any]:
    return {"key": key, "value": value, "timestamp": 0, "step": 0}


def tag(value: Any, key: str = "t") -> dict[str, Any]:
    return {"key": key, "value": value}


ZERO = '"value":-0,'
NULL = ',"value":null}'
AROUND = ["{}", "x{}y", '"{}', "\\{}", '\\"{}', "{}\\"]


@pytest.mark.parametrize("number", ["0", "-0.5", "-0.25", "1", "1e+300", "5e-324"])
def test_a_number_is_left_as_postgresql_writes_it(number: str) -> None:
    metrics = f'[{{"key":"m","value":{number},"timestamp":-0,"step":0}}]'
    assert data_text(metrics, None, None) == f'{{"metrics":{metrics}}}'


def test_a_negative_zero_keeps_its_sign() -> None:
    """PostgreSQL writes it without a point, and what reads it makes an integer of it, which has no sign."""
    metrics = BETWEEN.join(['{"key":"m","value":-0,"timestamp":0,"step":0}'] * 2)
    written = data_text(f"[{metrics}]", None, None)
    assert [str(each["value"]) for each in json.loads(written)["metrics"]] == ["-0.0", "-0.0"]


def test_not_a_number_is_a_text() -> None:
    written = data_text(rows(metric("NaN"), metric(1.5)), None, None)
    assert json.loads(written) == {"metrics": [metric("NaN"), metric(1.5)]}


@pytest.mark.parametrize("around", AROUND)
def test_what_looks_like_a_negative_zero_inside_of_a_text_is_left(around: str) -> None:
    text = around.format(ZERO)
    metrics = rows(metric(1.5, text), metric(0, text)).replace('"value":0,', ZERO)
    data = json.loads(data_text(metrics, rows(tag(text, text)), rows(tag(text, text))))
    assert data == {
        "metrics": [metric(1.5, text), metric(0, text)],
        "params": [tag(text, text)],
        "tags": [tag(text, text)],
    }
    assert str(data["metrics"][1]["value"]) == "-0.0"


def test_a_tag_without_a_value_has_none() -> None:
    written = data_text(None, None, rows(tag(None), tag("v"), tag(None), tag("")))
    assert json.loads(written) == {"tags": [{"key": "t"}, tag("v"), {"key": "t"}, tag("")]}


@pytest.mark.parametrize("around", AROUND)
def test_what_looks_like_a_missing_value_inside_of_a_text_is_left(around: str) -> None:
    text = around.format(NULL)
    tags = rows(tag(text, text), tag(None, text), tag("null"))
    data = json.loads(data_text(rows(metric(1.5, text)), rows(tag(text, text)), tags))
    assert data["metrics"] == [metric(1.5, text)]
    assert data["params"] == [tag(text, text)]
    assert data["tags"] == [tag(text, text), {"key": text}, tag("null")]


@pytest.mark.parametrize(
    "text",
    ["é", "名前", "😀", "a😀é\u0301b", "\u0301", "\u2028", "\ufeff", 'é"\\é\n', "\\u00e9"],
    ids=[
        *("a letter", "a word", "an emoji", "one among others", "a lone combination", "a separator", "a mark"),
        *("beside what is escaped", "an escape that is none"),
    ],
)
def test_a_text_of_any_language_is_written_in_ascii_and_read_as_the_same(text: str) -> None:
    written = data_text(
        rows(metric(1, text)), rows(tag(text, text), tag("plain")), rows(tag(text, text), tag(None, text))
    )
    assert written.isascii()
    assert json.loads(written) == {
        "metrics": [metric(1, text)],
        "params": [tag(text, text), tag("plain")],
        "tags": [tag(text, text), {"key": text}],
    }
    assert written.count(json.dumps(text)) == 6, "it is escaped as MLflow escapes it"


@pytest.mark.parametrize(
    ("parts", "names"),
    [
        ((None, None, None), []),
        ((None, "[]", None), ["params"]),
        (("[]", None, None), ["metrics"]),
        (("[]", None, "[]"), ["metrics", "tags"]),
        (("[]", "[]", "[]"), ["metrics", "params", "tags"]),
    ],
    ids=["no part", "one", "the first", "two", "all"],
)
def test_a_part_without_a_row_is_left_out(parts: tuple[str | None, ...], names: list[str]) -> None:
    metrics, params, tags = parts
    assert list(json.loads(data_text(metrics, params, tags))) == names


DATA = {"a": '{"tags":[{"key":"t","value":"v"}]}', "b": "{}"}


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (
            {"run": {"info": {"run_id": "a"}, "inputs": {}}},
            '{"run":{"info":{"run_id":"a"},"inputs":{},"data":{"tags":[{"key":"t","value":"v"}]}}}',
        ),
        (
            {"runs": [{"info": {"run_id": "b"}}, {"info": {"run_id": "a"}}]},
            '{"runs":[{"info":{"run_id":"b"},"data":{}},'
            '{"info":{"run_id":"a"},"data":{"tags":[{"key":"t","value":"v"}]}}]}',
        ),
        (
            {"runs": [{"info": {"run_id": "b"}}], "next_page_token": "é"},
            '{"next_page_token":"\\u00e9","runs":[{"info":{"run_id":"b"},"data":{}}]}',
        ),
        ({"run": {"info": {"run_id": "b"}, "data": {"old": 1}}}, '{"run":{"info":{"run_id":"b"},"data":{}}}'),
        ({"runs": []}, '{"runs":[]}'),
        ({}, '{"runs":[]}'),
    ],
    ids=["one run", "a list", "a list that goes on", "data that is there", "no runs", "nothing"],
)
def test_each_run_of_an_answer_gets_its_own_data(answer: dict[str, Any], text: str) -> None:
    assert with_data(answer, DATA) == text
    assert json.loads(text)


class Handlers(SimpleNamespace):
    """A stand-in for MLflow's module of that name, and for Flask's request."""

    request: Any
    requested: bool
    search_runs_impl: Any
    get_run_impl: Any


@pytest.fixture
def handlers(monkeypatch: pytest.MonkeyPatch) -> Handlers:
    for name in ("_wanted", "_made"):
        monkeypatch.setattr(run_json, name, ContextVar[Any](name, default=None))

    def impl(request_message: Any) -> Any:
        return request_message()

    request = SimpleNamespace(path="/api/2.0/mlflow/runs/search")
    module = Handlers(search_runs_impl=impl, get_run_impl=impl, request=request, requested=True)
    monkeypatch.setattr(run_json, "request", request)
    monkeypatch.setattr(run_json, "has_request_context", lambda: module.requested)
    monkeypatch.setattr(importlib, "import_module", {"mlflow.server.handlers": module}.__getitem__)
    run_json.install()
    return module


class Message:
    """Two of them are equal, as messages with the same fields are."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Message)

    __hash__ = object.__hash__


def reading(linked: bool = False) -> bool:
    """Read two runs, as the store does. Returns whether none of them has an input or an output."""
    statements: list[dict[str, Any]] = []

    def execute(_: Any, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        statements.append(parameters)
        return [("a", None, None, '[{"key":"t","value":"v"}]', linked), ("b", None, None, None, False)]

    session: Any = SimpleNamespace(execute=execute)
    unlinked = run_json.read(session, ["a", "b"])
    assert statements == [{"ids": ["a", "b"]}]
    return unlinked


@pytest.mark.parametrize("name", ["search_runs_impl", "get_run_impl"])
def test_the_data_belongs_to_the_very_message_that_lacks_it(handlers: Handlers, name: str) -> None:
    def make() -> Message:
        reading()
        return Message()

    impl = getattr(handlers, name)
    message = impl(make)
    assert run_json.of(message) == run_json.of(message) == DATA
    assert run_json.of(Message()) == {}
    another = impl(Message)
    assert run_json.of(another) == {}, "nothing was read for it"
    assert run_json.of(message) == {}, "only the last one's is kept"


@pytest.mark.usefixtures("handlers")
def test_a_message_has_no_data_before_any_was_made() -> None:
    assert run_json.of(Message()) == {}
    assert run_json.of(None) == {}


@pytest.mark.parametrize("linked", [True, False])
def test_whoever_reads_learns_whether_a_run_has_an_input_or_an_output(handlers: Handlers, linked: bool) -> None:
    assert handlers.search_runs_impl(lambda: reading(linked)) is not linked


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/api/2.0/mlflow/runs/search", True),
        ("/ajax-api/2.0/mlflow/runs/get", True),
        ("/a-prefix/api/2.0/mlflow/runs/search", True),
        ("/graphql", False),
        ("/ajax-api/2.0/mlflow/runs/get/", False),
        ("/ajax-api/2.0/mlflow/runs/create", False),
    ],
)
def test_only_who_asks_for_json_gets_texts(handlers: Handlers, path: str, wanted: bool) -> None:
    handlers.request.path = path
    assert handlers.search_runs_impl(run_json.are_wanted) is wanted
    assert not run_json.are_wanted(), "the next request may ask for something else"


def test_who_asks_outside_of_a_request_gets_none(handlers: Handlers) -> None:
    handlers.requested = False
    assert handlers.search_runs_impl(run_json.are_wanted) is False


def test_a_request_that_fails_leaves_nothing_wanted(handlers: Handlers) -> None:
    def fail() -> None:
        assert run_json.are_wanted()
        raise ValueError("no such run")

    with pytest.raises(ValueError, match="no such run"):
        handlers.get_run_impl(fail)
    assert not run_json.are_wanted()
